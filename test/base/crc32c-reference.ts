// CRC-32C as it is defined, a bit at a time, and the vectors that are published for it.

export function crc32cBitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

const scsiReadCommand =
  '01c00000000000000000000000000000140000000000040000000014000000182800000000000000' + '0200000000000000'

export const CRC32C_VECTORS: readonly {
  readonly what: string
  readonly bytes: Uint8Array
  readonly crc: number
}[] = [
  { what: 'RFC 3720 B.4, 32 bytes of zeroes', bytes: new Uint8Array(32), crc: 0x8a9136aa },
  { what: 'RFC 3720 B.4, 32 bytes of ones', bytes: new Uint8Array(32).fill(0xff), crc: 0x62a8ab43 },
  {
    what: 'RFC 3720 B.4, 32 bytes incrementing',
    bytes: Uint8Array.from({ length: 32 }, (_, i) => i),
    crc: 0x46dd794e,
  },
  {
    what: 'RFC 3720 B.4, 32 bytes decrementing',
    bytes: Uint8Array.from({ length: 32 }, (_, i) => 31 - i),
    crc: 0x113fdb5c,
  },
  {
    what: 'RFC 3720 B.4, an iSCSI SCSI read (10) command',
    bytes: Uint8Array.from(Buffer.from(scsiReadCommand, 'hex')),
    crc: 0xd9963a56,
  },
  {
    what: 'the check value of the CRC catalogue, 123456789',
    bytes: Uint8Array.from(Buffer.from('123456789')),
    crc: 0xe3069283,
  },
  { what: 'nothing', bytes: new Uint8Array(0), crc: 0 },
]
