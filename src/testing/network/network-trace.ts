/** Turns what happens into short lines for a trace. The checksums in them make a change of any byte visible. */
export class NetworkTrace {
  readonly #onEvent: (event: string) => void
  readonly #crc32c: (bytes: Uint8Array) => number

  constructor(onEvent: (event: string) => void, crc32c: (bytes: Uint8Array) => number) {
    this.#onEvent = onEvent
    this.#crc32c = crc32c
  }

  event(text: string): void {
    this.#onEvent(text)
  }

  sent(route: string, message: { readonly number: number; readonly bytes: Uint8Array }): void {
    const crc = this.#crc32c(message.bytes).toString(16)
    this.#onEvent(`send ${route}.${message.number} len=${message.bytes.length} crc=${crc}`)
  }
}
