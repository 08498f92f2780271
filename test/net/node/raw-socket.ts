import { connect, type Socket } from 'node:net'

/** A TCP connection written and read by hand. */
export class RawSocket {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #isClosed = false
  readonly #waits = new Set<() => void>()

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  static open(port: number): Promise<RawSocket> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => resolve(new RawSocket(socket)))
    })
  }

  /** A WebSocket to the root, opened by hand; what comes after the handshake is left to read. */
  static async upgraded(port: number, head = handshake()): Promise<RawSocket> {
    const raw = await RawSocket.open(port)
    raw.write(head)
    await raw.until(() => raw.text.includes('\r\n\r\n'))
    raw.take(raw.text.indexOf('\r\n\r\n') + 4)
    return raw
  }

  get received(): Buffer {
    return this.#received
  }

  get text(): string {
    return this.#received.toString('latin1')
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  write(data: string | Uint8Array): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
  }

  take(bytes: number): Buffer {
    const taken = this.#received.subarray(0, bytes)
    this.#received = this.#received.subarray(bytes)
    return taken
  }

  async until(isMet: () => boolean): Promise<void> {
    while (!isMet()) {
      if (this.#isClosed) throw new Error(`the socket was closed; received: ${this.text}`)
      await this.#changed()
    }
  }

  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#changed()
  }

  /** The code of the close frame that is all that was received (frames of a server are not masked). */
  async closeCode(): Promise<number> {
    await this.until(() => this.#received.length >= 4)
    if (this.#received[0] !== 0x88) throw new Error(`no close frame but ${this.#received.toString('hex')}`)
    return this.#received.readUInt16BE(2)
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wake)
        resolve()
      }
      this.#waits.add(wake)
    })
  }

  #wake(): void {
    for (const wake of [...this.#waits]) wake()
  }
}

/** The lines of a WebSocket handshake; a header given as null is left out. */
export function handshake(
  headers: Readonly<Record<string, string | null>> = {},
  requestLine = 'GET / HTTP/1.1',
): string {
  const all: Readonly<Record<string, string | null>> = {
    Host: '127.0.0.1:7101',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'vltava.v1',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]))
  return `${[requestLine, ...lines].join('\r\n')}\r\n\r\n`
}

/** A frame of a client with a masking key of zeros. */
export function clientFrame(first: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const { length } = payload
  const head =
    length < 126
      ? [first, 0x80 | length]
      : length < 65_536
        ? [first, 0x80 | 126, length >>> 8, length & 0xff]
        : [
            first,
            0x80 | 127,
            0,
            0,
            0,
            0,
            length >>> 24,
            (length >>> 16) & 0xff,
            (length >>> 8) & 0xff,
            length & 0xff,
          ]
  return Buffer.concat([Uint8Array.from(head), new Uint8Array(4), payload])
}
