// vltava quorum describe, add-voter, remove-voter, transfer
import type { Command } from 'commander'
import type { QuorumDescription, QuorumMember } from '../client/quorum-admin.ts'
import { INT32_MAX } from '../model/id-schemas.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { columns, count, seconds } from './output.ts'
import { EXIT, type RunAction, say, type Terminal } from './terminal.ts'
import { parseInteger } from './text-options.ts'

/** A person waits: shorter than what suits a program. */
const WAIT_MS = 15_000

interface QuorumOptions extends BootstrapOptions {
  readonly json?: boolean
}

interface VoterCommandOptions extends QuorumOptions {
  readonly directory?: string
}

export function addQuorumCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const quorum = program.command('quorum').description('see and change the controllers that vote')
  withBootstrap(quorum.command('describe'))
    .description('who votes, who follows without a vote, and how far each of them is')
    .option('--json', 'print one JSON object')
    .action((options: QuorumOptions) => run(() => describe(options, terminal)))
  withBootstrap(quorum.command('add-voter <node>'))
    .description('give a vote to a controller that follows the quorum; waits until it has caught up')
    .option('--directory <id>', 'the directory that gets the vote (default: the one the node has)')
    .option('--json', 'print one JSON object')
    .action((node: string, options: VoterCommandOptions) =>
      run(() => changeVoter({ kind: 'add', node, options }, terminal)),
    )
  withBootstrap(quorum.command('remove-voter <node>'))
    .description('take the vote of a controller; it goes on to follow while it runs')
    .option('--directory <id>', 'the directory that loses the vote (default: the one that votes)')
    .option('--json', 'print one JSON object')
    .action((node: string, options: VoterCommandOptions) =>
      run(() => changeVoter({ kind: 'remove', node, options }, terminal)),
    )
  withBootstrap(quorum.command('transfer <node>'))
    .description('make another voter the active controller')
    .option('--json', 'print one JSON object')
    .action((node: string, options: QuorumOptions) => run(() => transfer(node, options, terminal)))
}

/** The lines of `quorum describe`. */
export function showQuorum(description: QuorumDescription): string {
  const { leaderId, term, committedOffset, members } = description
  const rows = members.map((member) => [
    String(member.nodeId),
    roleOf(member, leaderId),
    member.directoryId,
    count(member.endOffset),
    count(Math.max(0, committedOffset - member.endOffset)),
    member.silentMs === null ? 'never' : `${seconds(member.silentMs)} ago`,
    member.url ?? '-',
  ])
  const header = ['NODE', 'ROLE', 'DIRECTORY', 'END', 'LAG', 'HEARD', 'ADDRESS']
  return (
    `Node ${leaderId} is the active controller of term ${term}; metadata offset ${count(committedOffset)} is committed.\n` +
    columns([header, ...rows])
  )
}

function roleOf({ nodeId, isVoter, isCaughtUp }: QuorumMember, leaderId: number): string {
  if (isVoter) return nodeId === leaderId ? 'leader' : 'voter'
  return isCaughtUp ? 'learner, caught up' : 'learner'
}

async function describe(options: QuorumOptions, terminal: Terminal): Promise<number> {
  const description = await withClient(options, terminal, (client) =>
    client.admin.quorum.describe({ timeoutMs: WAIT_MS }),
  )
  terminal.stdout.write(`${options.json === true ? JSON.stringify(description) : showQuorum(description)}\n`)
  return EXIT.done
}

async function changeVoter(
  change: { readonly kind: 'add' | 'remove'; readonly node: string; readonly options: VoterCommandOptions },
  terminal: Terminal,
): Promise<number> {
  const { kind, options } = change
  const nodeId = nodeOf(change.node)
  const { directory } = options
  const request = {
    nodeId,
    timeoutMs: WAIT_MS,
    ...(directory === undefined ? {} : { directoryId: directory }),
  }
  const voters = await withClient(options, terminal, ({ admin: { quorum } }) =>
    kind === 'add' ? quorum.addVoter(request) : quorum.removeVoter(request),
  )
  if (options.json === true) terminal.stdout.write(`${JSON.stringify({ voters })}\n`)
  else
    say(terminal, `Controller ${nodeId} was ${kind === 'add' ? 'added' : 'removed'}. ${votersText(voters)}`)
  return EXIT.done
}

/** What to know of this many voters. */
export function votersText(voters: readonly number[]): string {
  const shown = voters.toSorted((a, b) => a - b).join(', ')
  const failures = Math.floor((voters.length - 1) / 2)
  const bears =
    failures === 0
      ? 'none of them may fail'
      : failures === 1
        ? 'one of them may fail'
        : `${failures} of them may fail`
  const advice = voters.length % 2 === 0 ? ' (an odd number of voters bears more for its size)' : ''
  return `Voters: ${shown}; ${bears}${advice}.`
}

async function transfer(node: string, options: QuorumOptions, terminal: Terminal): Promise<number> {
  const nodeId = nodeOf(node)
  await withClient(options, terminal, (client) =>
    client.admin.quorum.transferController({ nodeId, timeoutMs: WAIT_MS }),
  )
  if (options.json === true) terminal.stdout.write(`${JSON.stringify({ controllerId: nodeId })}\n`)
  else say(terminal, `Node ${nodeId} is the active controller.`)
  return EXIT.done
}

function nodeOf(text: string): number {
  return parseInteger(text, { option: '<node>', min: 0, max: INT32_MAX })
}
