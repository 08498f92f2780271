/** How a value of a history is carried by the value of a record. */
export interface ValueCodec {
  readonly encode: (value: string) => string | Uint8Array
  /** The inverse. What no `encode` made may give any text that was never sent: the checker calls it a phantom. */
  readonly decode: (bytes: Uint8Array) => string
}

/** The value as UTF-8. */
export const textCodec: ValueCodec = {
  encode: (value) => value,
  decode: (bytes) => new TextDecoder().decode(bytes),
}
