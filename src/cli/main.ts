// The vltava command. Each group of commands is a file; this one puts them together and turns what they throw into
// exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
import { Command, CommanderError } from 'commander'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import { addBrokerCommands } from './broker.ts'
import { addChaosCommands } from './chaos.ts'
import { addClusterCommands } from './cluster.ts'
import { addConfigCommands } from './config.ts'
import { addConsumeCommand } from './consume.ts'
import { addDemoCommand } from './demo.ts'
import { addExplainCommand } from './explain.ts'
import { addLogCommands } from './log.ts'
import { addPartitionCommands } from './partition.ts'
import { addProduceCommand } from './produce.ts'
import { addQuorumCommands } from './quorum.ts'
import { addServeCommand } from './serve.ts'
import { EXIT, processTerminal, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { addTopicCommands } from './topic.ts'
import { addVerifyCommand } from './verify.ts'
import { packageVersion } from './version.ts'

function buildProgram(terminal: Terminal, setExitCode: (code: number) => void): Command {
  const program = new Command('vltava')
    .description('A replicated log in the manner of Kafka: broker, commands and client in one package.')
    .version(packageVersion(), '-V, --version')
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    })
    .exitOverride()
  const run: RunAction = async (action) => setExitCode(await action())
  addServeCommand(program, terminal, run)
  addClusterCommands(program, terminal, run)
  addTopicCommands(program, terminal, run)
  addPartitionCommands(program, terminal, run)
  addBrokerCommands(program, terminal, run)
  addConfigCommands(program, terminal, run)
  addExplainCommand(program, terminal, run)
  addQuorumCommands(program, terminal, run)
  addProduceCommand(program, terminal, run)
  addConsumeCommand(program, terminal, run)
  addDemoCommand(program, terminal, run)
  addChaosCommands(program, terminal, run)
  addVerifyCommand(program, terminal, run)
  addLogCommands(program, terminal, run)
  program.addHelpText(
    'after',
    '\nStart here:\n  vltava demo            see a cluster lose its leader and no record\n  vltava cluster up      run three brokers on this machine\n',
  )
  inheritSettings(program)
  return program
}

/** Subcommands made before exitOverride was set do not inherit it; this makes all of them alike. */
function inheritSettings(command: Command): void {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command)
    inheritSettings(sub)
  }
}

/**
 * Runs a command and returns its exit code.
 * @param args the arguments behind the name of the program.
 */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.done
  const program = buildProgram(terminal, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (thrown) {
    return exitCodeOf(thrown, terminal)
  }
}

function exitCodeOf(thrown: unknown, terminal: Terminal): number {
  if (thrown instanceof CommanderError) {
    // Help that was asked for is a success; help that is shown because a subcommand is missing is not.
    return thrown.exitCode === 0 ? EXIT.done : EXIT.usage
  }
  if (terminal.isOutputClosed()) return EXIT.done
  if (terminal.interrupted.aborted) return EXIT.interrupted
  if (thrown instanceof UsageError) {
    say(terminal, `vltava: ${thrown.message}`)
    return EXIT.usage
  }
  const error = toVltavaError(thrown)
  say(terminal, `vltava: ${error.message}`)
  if (error.code === 'UNKNOWN_SERVER_ERROR' && thrown instanceof Error && !(thrown instanceof VltavaError)) {
    say(terminal, thrown.stack ?? '')
  }
  return error.code === 'INVALID_ARGUMENT' || error.code === 'INVALID_CONFIG' ? EXIT.usage : EXIT.failed
}

/** The entry of bin/vltava.cjs. */
export async function main(args: readonly string[]): Promise<void> {
  process.exitCode = await runCommand(args, processTerminal())
}
