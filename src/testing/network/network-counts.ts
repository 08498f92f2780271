/** What happened in a simulated network, faults above all: a fault that never took effect has tested nothing. */
export interface NetworkCounts {
  messagesSent: number
  messagesDelivered: number
  /** Sent, and gone with the channel or with one of its parties. */
  messagesLost: number
  /** Bytes that a blocked link held back, delivered later or not. */
  bytesHeld: number
  dialsRefused: number
  dialsTimedOut: number
  /** Channels that were accepted although the dialer had given up meanwhile. */
  lateAccepts: number
  /** Channels that `breakChannels` and `breakOne` broke. */
  channelsBroken: number
  /** Channels that ended because TCP gave up sending again. */
  retransmitTimeouts: number
  /** Channels that ended because their keepalive heard nothing. */
  keepaliveTimeouts: number
  /** Channels that ended when something was sent to a party that was gone without a word. */
  halfOpenResets: number
}

export function zeroCounts(): NetworkCounts {
  return {
    messagesSent: 0,
    messagesDelivered: 0,
    messagesLost: 0,
    bytesHeld: 0,
    dialsRefused: 0,
    dialsTimedOut: 0,
    lateAccepts: 0,
    channelsBroken: 0,
    retransmitTimeouts: 0,
    keepaliveTimeouts: 0,
    halfOpenResets: 0,
  }
}
