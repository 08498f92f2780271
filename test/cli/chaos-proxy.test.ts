import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { dropSocket } from '../../src/cli/chaos-pipe.ts'
import { ChaosProxy, CLEAR } from '../../src/cli/chaos-proxy.ts'

/** What a socket has received, and what became of it. */
class Peer {
  readonly socket: Socket
  #received = ''
  #state: 'open' | 'ended' | 'reset' = 'open'
  readonly #watchers = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1')
      this.#tell()
    })
    socket.on('end', () => {
      if (this.#state === 'open') this.#state = 'ended'
      this.#tell()
    })
    socket.on('error', () => {
      this.#state = 'reset'
      this.#tell()
    })
    socket.on('connect', () => this.#tell())
  }

  get received(): string {
    return this.#received
  }

  get state(): 'open' | 'ended' | 'reset' {
    return this.#state
  }

  /** Resolves when the condition holds; it is looked at whenever something happens to the socket. */
  when(condition: (peer: Peer) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const watch = (): void => {
        if (!condition(this)) return
        this.#watchers.delete(watch)
        resolve()
      }
      this.#watchers.add(watch)
      watch()
    })
  }

  /** Counts from here on. */
  forget(): void {
    this.#received = ''
  }

  whenReceived(text: string): Promise<void> {
    return this.when(({ received }) => received === text)
  }

  #tell(): void {
    for (const watch of [...this.#watchers]) watch()
  }
}

/** A server behind a proxy; remembers who came. */
class Target {
  readonly server: Server
  readonly peers: Peer[] = []
  readonly #arrivals: ((peer: Peer) => void)[] = []

  private constructor(server: Server) {
    this.server = server
    server.on('connection', (socket) => {
      const peer = new Peer(socket)
      this.peers.push(peer)
      this.#arrivals.shift()?.(peer)
    })
  }

  static listen(): Promise<Target> {
    const target = new Target(createServer({ allowHalfOpen: true }))
    return new Promise((resolve) => target.server.listen(0, '127.0.0.1', () => resolve(target)))
  }

  get port(): number {
    return (this.server.address() as { port: number }).port
  }

  /** The next connection that arrives. */
  arrival(): Promise<Peer> {
    return new Promise((resolve) => this.#arrivals.push(resolve))
  }

  close(): Promise<void> {
    for (const { socket } of this.peers) socket.destroy()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}

describe('ChaosProxy', () => {
  const cleanups: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  })

  async function setUp(): Promise<{ readonly target: Target; readonly proxy: ChaosProxy }> {
    const target = await Target.listen()
    const proxy = await ChaosProxy.open(target.port)
    cleanups.push(
      () => target.close(),
      () => proxy.close(),
    )
    return { target, proxy }
  }

  function dial(proxy: ChaosProxy): Peer {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
    cleanups.push(() => {
      socket.destroy()
    })
    return new Peer(socket)
  }

  async function join(): Promise<{ target: Target; proxy: ChaosProxy; near: Peer; far: Peer }> {
    const { target, proxy } = await setUp()
    const arrival = target.arrival()
    const near = dial(proxy)
    const far = await arrival
    // The target may have accepted before the proxy knows; what passes both ways proves that it does.
    near.socket.write('!')
    await far.whenReceived('!')
    far.forget()
    return { target, proxy, near, far }
  }

  /** The other direction still passes: whatever was written before to a held one had its chance. */
  async function roundTrip(from: Peer, to: Peer): Promise<void> {
    const before = to.received
    from.socket.write('?')
    await to.whenReceived(`${before}?`)
  }

  it('no fault -> bytes pass both ways, and an end passes alone', async () => {
    const { near, far, proxy } = await join()
    near.socket.write('there')
    await far.whenReceived('there')
    near.socket.end()
    await far.when(({ state }) => state === 'ended')
    far.socket.write('back')
    await near.whenReceived('back')
    far.socket.end()
    await near.when(({ state }) => state === 'ended')
    expect(proxy.waitingCount).toBe(0)
  })

  it('many bytes -> all of them in order', async () => {
    const { near, far } = await join()
    const text = Array.from({ length: 300_000 }, (_, i) => String(i % 10)).join('')
    near.socket.write(text)
    await far.when(({ received }) => received.length === text.length)
    expect(far.received).toBe(text)
  })

  it('cut one way -> bytes of that direction are held and come after it, the other direction passes', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, holdsForward: true })
    near.socket.write('held')
    await roundTrip(far, near)
    await roundTrip(far, near)
    expect(far.received).toBe('')
    proxy.setConditions(CLEAR)
    await far.whenReceived('held')
  })

  it('cut both ways -> nothing passes, not even the end, until it is over', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, holdsForward: true, holdsBackward: true })
    near.socket.end('last words')
    far.socket.write('unheard')
    // A connection without faults, made and used meanwhile, is what time passes by.
    const other = await join()
    await roundTrip(other.near, other.far)
    await roundTrip(other.far, other.near)
    expect([near.received, far.received, near.state, far.state]).toEqual(['', '', 'open', 'open'])
    proxy.setConditions(CLEAR)
    await far.when(({ state }) => state === 'ended')
    expect(far.received).toBe('last words')
    await near.whenReceived('unheard')
  })

  it('cut, more bytes than the buffers take -> the sender feels back pressure, and nothing is lost', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, holdsForward: true })
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    let written = 0
    // The kernel takes some megabytes at most; a proxy without bounds would take all of it.
    while (written < 64 && near.socket.write(chunk)) written++
    written++
    expect(near.socket.writableNeedDrain).toBe(true)
    expect(written).toBeLessThan(64)
    proxy.setConditions(CLEAR)
    await far.when(({ received }) => received.length === written * chunk.length)
  })

  it('dialled during a cut -> waits and is joined when it is over', async () => {
    const { target, proxy } = await setUp()
    proxy.setConditions({ ...CLEAR, holdsBackward: true })
    const near = dial(proxy)
    await near.when(({ socket }) => !socket.connecting)
    near.socket.write('hello')
    const other = await join()
    await roundTrip(other.near, other.far)
    expect([proxy.waitingCount, proxy.joinedCount, target.peers.length]).toEqual([1, 0, 0])
    const arrival = target.arrival()
    proxy.setConditions(CLEAR)
    await (await arrival).whenReceived('hello')
    expect([proxy.waitingCount, proxy.joinedCount]).toEqual([0, 1])
  })

  it('reset -> both sides lose the connection, and a new one can be made', async () => {
    const { target, near, far, proxy } = await join()
    expect(proxy.reset()).toBe(1)
    await near.when(({ state }) => state === 'reset')
    await far.when(({ state }) => state === 'reset')
    expect(proxy.joinedCount).toBe(0)
    const arrival = target.arrival()
    const again = dial(proxy)
    again.socket.write('again')
    await (await arrival).whenReceived('again')
  })

  it('reset while others wait behind a cut -> those are reset as well', async () => {
    const { proxy } = await setUp()
    proxy.setConditions({ ...CLEAR, holdsForward: true })
    const near = dial(proxy)
    await near.when(({ socket }) => !socket.connecting)
    const other = await join()
    await roundTrip(other.near, other.far)
    expect(proxy.reset()).toBe(1)
    await near.when(({ state }) => state === 'reset')
  })

  it('refuse -> new connections are reset, those there are stay', async () => {
    const { target, near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, refuses: true })
    const refused = dial(proxy)
    await refused.when(({ state }) => state === 'reset')
    await roundTrip(near, far)
    expect(target.peers).toHaveLength(1)
  })

  it('nobody listens -> the connection is reset', async () => {
    const { target, proxy } = await setUp()
    await target.close()
    const near = dial(proxy)
    await near.when(({ state }) => state === 'reset')
    expect(proxy.joinedCount).toBe(0)
  })

  it('the far side dies -> the near side is told, though not before a cut is over', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, holdsBackward: true })
    far.socket.resetAndDestroy()
    const other = await join()
    await roundTrip(other.near, other.far)
    await roundTrip(other.far, other.near)
    expect(near.state).toBe('open')
    proxy.setConditions(CLEAR)
    await near.when(({ state }) => state === 'reset')
  })

  it.each([0, 1, 7, 11])(
    'break behind %i bytes -> so many arrive, then the connection is gone',
    async (bytes) => {
      const { near, far, proxy } = await join()
      proxy.breakAfter(bytes)
      near.socket.write('hello world!')
      await far.when(({ state }) => state !== 'open')
      await near.when(({ state }) => state !== 'open')
      expect(far.received).toBe('hello world!'.slice(0, bytes))
    },
  )

  it('break -> only one connection; the next one is whole, and a break can be taken back', async () => {
    const { target, near, far, proxy } = await join()
    proxy.breakAfter(2)
    near.socket.write('abc')
    await far.when(({ state }) => state !== 'open')
    const arrival = target.arrival()
    const second = dial(proxy)
    const secondFar = await arrival
    await roundTrip(second, secondFar)
    proxy.breakAfter(2)
    proxy.keepWhole()
    second.socket.write('defg')
    await secondFar.whenReceived('?defg')
  })

  it('delay -> bytes arrive in order, later by no less than that', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, delayMs: 40 })
    const startMs = performance.now()
    near.socket.write('a')
    near.socket.end('b')
    await far.when(({ state }) => state === 'ended')
    expect(far.received).toBe('ab')
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(39)
  })

  it('bytes per second -> bytes take no less than their time', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, bytesPerSecond: 20_000 })
    const startMs = performance.now()
    near.socket.write('x'.repeat(2_000))
    await far.when(({ received }) => received.length === 2_000)
    // The first piece of 20 ms goes at once.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(79)
  })

  it('a slow link that is healed -> what is left passes at once', async () => {
    const { near, far, proxy } = await join()
    proxy.setConditions({ ...CLEAR, bytesPerSecond: 1, delayMs: 3_600_000 })
    near.socket.write('patience')
    const other = await join()
    await roundTrip(other.near, other.far)
    proxy.setConditions(CLEAR)
    await far.whenReceived('patience')
  })

  it('a connection that is being ended -> can be dropped all the same', async () => {
    const { near } = await join()
    near.socket.end('bye')
    const closed = new Promise((resolve) => near.socket.once('close', resolve))
    dropSocket(near.socket)
    await closed
    expect(near.state).toBe('open')
  })
})
