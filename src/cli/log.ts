// vltava log dump | verify: looks at the files of a node, also while it runs, and changes nothing.
import type { Command } from 'commander'
import { dumpLog, type LogDumpOptions } from './log-dump.ts'
import { type LogVerifyOptions, verifyLogs } from './log-verify.ts'
import type { RunAction, Terminal } from './terminal.ts'

export function addLogCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const log = program.command('log').description('look at the files of a node without changing them')
  log
    .command('dump <path>')
    .description('print what is in a segment, an index, a small file, or a directory')
    .option('--records', 'print each record of the batches as well')
    .option('--from <offset>', 'leave out what lies before this offset', '0')
    .option('--limit <count>', 'stop after this many lines')
    .option('--json', 'print one JSON object per line')
    .addHelpText(
      'after',
      '\n<path> is a file of a data directory (<base offset>.log, .index, .timeindex, meta.json, recovery-points,\n' +
        'leader-epochs and so on), the directory of a partition, or a whole data directory. Files are told apart by\n' +
        'their names. The node may be running; the end of its active segments may then be in flight.\n' +
        'Exit code: 0 all of it was readable, 1 something is damaged, 2 wrong use.',
    )
    .action((path: string, options: LogDumpOptions) => run(() => dumpLog(path, options, terminal)))
  log
    .command('verify <path>')
    .description('check every batch, index and small file of a data directory or a partition')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\n<path> is the log.dir of a node, or topics/<topic id>/<partition> inside of it. Nothing is changed, and the\n' +
        'node may be running. Warnings and notes are no damage: what they tell is made again by itself.\n' +
        'Exit code: 0 no damage, 1 damage, 2 wrong use.',
    )
    .action((path: string, options: LogVerifyOptions) => run(() => verifyLogs(path, options, terminal)))
}
