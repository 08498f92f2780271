// What readers and strangers would notice: what is handed out, and to whom.
import type { Mutant } from './mutant.ts'

export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    id: 'M15',
    name: 'consumers get records that are not committed',
    item: 'REP-35',
    edit: {
      file: 'src/broker/fetch-flow.ts',
      text: 'bounds = { highWatermark: role.highWatermark, logStartOffset: log.logStartOffset }',
      replacement: 'bounds = { highWatermark: log.logEndOffset, logStartOffset: log.logStartOffset }',
    },
    killer: { kind: 'simulation', expected: /REP-35\b|CHK-/ },
  },
  {
    id: 'M15b',
    name: 'a follower serves consumers up to the end of its log',
    item: 'REP-34, REP-35',
    edit: {
      file: 'src/broker/follower-reads.ts',
      text: 'return Math.min(core.highWatermark, core.logEndOffset, log.logEndOffset)',
      replacement: 'return core.logEndOffset',
    },
    killer: { kind: 'simulation', expected: /REP-35\b|CHK-/ },
  },
  {
    id: 'M16',
    name: 'an offset between the high watermark and the log end is out of range',
    item: 'REP-33',
    edit: {
      file: 'src/replication/fetch-check.ts',
      text: "return offset > log.highWatermark ? 'OFFSET_NOT_AVAILABLE' : null",
      replacement: "return offset > log.highWatermark ? 'OFFSET_OUT_OF_RANGE' : null",
    },
    killer: { kind: 'simulation', expected: /REP-33\b|CHK-/ },
  },
  {
    id: 'M35',
    name: 'a consumer skips every thousandth record',
    item: 'CHK-6, CHK-8',
    edit: {
      file: 'src/client/consumer-batch.ts',
      text: 'while (cursor.offset < this.#rest.firstOffset)',
      replacement: 'while (cursor.offset < this.#rest.firstOffset || cursor.offset % 1_000 === 999)',
    },
    killer: { kind: 'simulation', expected: /CHK-|LIVENESS/ },
  },
  {
    id: 'M37',
    name: 'a client may speak as a broker without a proof',
    item: 'SEC-30, SEC-31',
    edit: {
      file: 'src/net/router.ts',
      text: "return connection.session === 'peer' && connection.identity !== null",
      replacement: "return connection.session !== 'new'",
    },
    killer: {
      kind: 'tests',
      files: ['test/net/router.test.ts'],
      expected: /SEC-30/,
      reason: 'all simulated clients are honest',
    },
  },
  {
    id: 'M38',
    name: 'pages of any origin may connect',
    item: 'SEC-05',
    edit: {
      file: 'src/net/node/upgrade-check.ts',
      text: 'if (origin !== undefined && !isAllowedOrigin({ origin, host, allowedOrigins })) {',
      replacement: 'if (isAllowedOrigin({ origin: origin!, host, allowedOrigins }) && host.length === 0) {',
    },
    killer: {
      kind: 'tests',
      files: ['test/net/node/ws-listener.test.ts'],
      expected: /SEC-05/,
      reason: 'there is no browser in a simulation',
    },
  },
]
