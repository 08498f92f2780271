// The yardstick: the same bytes, one way, over a bare WebSocket between two processes, in messages of one batch.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type RawData, WebSocket, WebSocketServer } from 'ws'

export interface BareTransfer {
  readonly bytes: number
  readonly messageBytes: number
}

/** Transfers the bytes from a process of its own to this one; returns megabytes (10^6) per second. */
export function bareTransfer({ bytes, messageBytes }: BareTransfer): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
      const { port } = server.address() as { port: number }
      const child = fork(fileURLToPath(import.meta.url), [
        'send',
        String(port),
        String(bytes),
        String(messageBytes),
      ])
      child.on('error', reject)
    })
    server.on('connection', (socket) => {
      let received = 0
      let startMs = 0
      socket.on('message', (data: RawData) => {
        if (received === 0) startMs = performance.now()
        received += (data as Buffer).length
        if (received < bytes) return
        const seconds = (performance.now() - startMs) / 1_000
        socket.close()
        server.close()
        resolve(bytes / 1e6 / seconds)
      })
    })
  })
}

/** The sending process. */
function send(port: number, bytes: number, messageBytes: number): void {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
    perMessageDeflate: false,
    generateMask: (mask) => mask.fill(0),
  })
  const message = Buffer.alloc(messageBytes, 'x')
  let sent = 0
  const next = (): void => {
    while (sent < bytes && socket.bufferedAmount < 4 * messageBytes) {
      sent += messageBytes
      socket.send(message, next)
    }
  }
  socket.on('open', next)
}

if (process.argv[2] === 'send')
  send(Number(process.argv[3]), Number(process.argv[4]), Number(process.argv[5]))
