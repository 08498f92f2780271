// The commands of text scenarios. Each acts on one cluster and prints what happened; the invariants are checked all the
// while. Nodes are numbers, entries are index/term.
import { assert } from '../../src/base/assert.ts'
import type { RaftConfig } from '../../src/raft/config.ts'
import type { Received } from '../../src/raft/messages.ts'
import type { Entry } from '../../src/raft/types.ts'
import { Cluster } from './cluster.ts'
import { showEntries, showMessage, showVoters, toData } from './show.ts'

type Command = (scenario: Scenario, args: Args) => void

/** The arguments of a command line: plain words, and name=value pairs. */
interface Args {
  readonly words: readonly string[]
  readonly named: ReadonlyMap<string, string>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  /** cluster 1 2 3 [learners=4,5] [appendMaxBytes=64 ...]: the voters, all with empty disks. */
  cluster: (scenario, { words, named }) => {
    const config: Record<string, number> = {}
    for (const [name, value] of named) if (name !== 'learners') config[name] = Number(value)
    scenario.start({ voters: words.map(Number), learners: numbers(named.get('learners')), config })
  },
  /** load 1 [terms=1,1,2] [term=2] [vote=3]: replaces the log, term and vote of a node and restarts it. */
  load: ({ cluster }, { words, named }) => {
    const terms = named.has('terms') ? numbers(named.get('terms')) : undefined
    const term = Number(named.get('term') ?? terms?.at(-1) ?? 0)
    const vote = named.get('vote')
    cluster.load(Number(words[0]), {
      ...(terms === undefined ? {} : { terms }),
      hardState: { term, votedFor: vote === undefined ? null : Number(vote) },
    })
  },
  /** campaign 1: time passes, but only this node looks at its clock, until it starts a pre-vote. */
  campaign: ({ cluster }, { words }) => cluster.campaign(Number(words[0])),
  /** elect 1: campaign, then settle; only facts are printed. */
  elect: (scenario, { words }) => scenario.factsOnly(() => scenario.cluster.elect(Number(words[0]))),
  propose: (scenario, { words }) => {
    scenario.printUnless('accepted', scenario.cluster.propose(Number(words[0]), words[1]!))
  },
  /** add 1 4 / remove 1 2b: the node makes a disk a voter, or takes its vote. */
  add: (scenario, { words }) => {
    scenario.printUnless('accepted', scenario.cluster.changeVoters(Number(words[0]), 'add', words[1]!))
  },
  remove: (scenario, { words }) => {
    scenario.printUnless('accepted', scenario.cluster.changeVoters(Number(words[0]), 'remove', words[1]!))
  },
  /** transfer 1 2: node 1 lets node 2 lead. */
  transfer: (scenario, { words }) => {
    const [from, to] = words.map(Number)
    scenario.printUnless('started', scenario.cluster.transferLeadership(from!, to!))
  },
  /** read 1: asks the node for a read of the newest state. */
  read: (scenario, { words }) => {
    scenario.printUnless('accepted', scenario.cluster.readIndex(Number(words[0])))
  },
  /** replace-disk 2: a node that is down has an empty disk now. */
  'replace-disk': ({ cluster }, { words }) => cluster.replaceDisk(Number(words[0])),
  /** voters [1 ...]: who votes, by the log of the node. */
  voters: (scenario, { words }) => {
    const { cluster } = scenario
    for (const id of words.length === 0
      ? cluster.ids.filter((node) => cluster.isUp(node))
      : words.map(Number)) {
      const { voterSet } = cluster.raft(id)
      scenario.print(`${id} ${showVoters(voterSet.voters)} since ${voterSet.index}`)
    }
  },
  /** deliver [from=1] [to=2] [type=vote] [count=1]: messages in flight, oldest first. */
  deliver: (scenario, args) => {
    for (const message of scenario.takeMessages(args)) scenario.cluster.deliver(message)
  },
  /** drop ...: loses them. */
  drop: (scenario, args) => {
    for (const message of scenario.takeMessages(args)) scenario.print(`dropped: ${showMessage(message)}`)
  },
  /** reverse ...: they will arrive in the opposite order. */
  reverse: (scenario, args) => {
    scenario.cluster.inFlight.push(...scenario.takeMessages(args).reverse())
  },
  /** repeat ...: they will arrive twice. */
  repeat: (scenario, args) => {
    const messages = scenario.takeMessages(args)
    scenario.cluster.inFlight.push(...messages, ...messages)
  },
  /** inject append from=2 to=1 term=3 prev=1/1 commit=3 entries=2/1:text,3/3: an append nobody sent. */
  inject: ({ cluster }, { named }) => {
    const [prevIndex, prevTerm] = named.get('prev')!.split('/').map(Number)
    cluster.inFlight.push({
      type: 'append',
      from: Number(named.get('from')),
      to: Number(named.get('to')),
      term: Number(named.get('term')),
      prevIndex: prevIndex!,
      prevTerm: prevTerm!,
      commitIndex: Number(named.get('commit')),
      entries: named.get('entries')!.split(',').filter(Boolean).map(parseEntry),
    })
  },
  /** inject-snapshot from=1 to=3 state-of=1: the whole snapshot that a node has on disk, once more. */
  'inject-snapshot': ({ cluster }, { named }) => {
    const [from, to, of] = ['from', 'to', 'state-of'].map((name) => Number(named.get(name)))
    const { index, term, data } = cluster.disk(of!).snapshot!
    cluster.inFlight.push({
      type: 'snapshot',
      from: from!,
      to: to!,
      term: cluster.raft(from!).term,
      snapshotIndex: index,
      snapshotTerm: term,
      sizeBytes: data.length,
      position: 0,
      part: data,
      voters: cluster.disk(of!).snapshot!.voters ?? null,
    })
  },
  /** persist 1 [2 ...] [count=1]: writes under way become durable; count limits how many of each node. */
  persist: ({ cluster }, { words, named }) => {
    for (const id of words.map(Number)) {
      const count = Math.min(
        Number(named.get('count') ?? Number.POSITIVE_INFINITY),
        cluster.writesUnderWay(id),
      )
      for (let i = 0; i < count; i++) cluster.completeWrite(id)
    }
  },
  /** snapshot 1 [2 ...]: the node has a durable snapshot of what it has applied, and drops entries from its log. */
  snapshot: ({ cluster }, { words }) => {
    for (const id of words.map(Number)) {
      cluster.takeSnapshot(id)
      cluster.completeSnapshot(id)
    }
  },
  /** settle: everything is delivered and durable; only facts are printed. */
  settle: (scenario) => scenario.factsOnly(() => scenario.cluster.settle()),
  /** run 500 [nodes=1,2]: time passes in ticks, for all or these nodes, everything settling; only facts are printed. */
  run: (scenario, { words, named }) => {
    const { cluster } = scenario
    const ids = named.has('nodes') ? numbers(named.get('nodes')) : cluster.ids
    scenario.factsOnly(() => cluster.run(Number(words[0]), ids))
  },
  /** elapse 100 [nodes=1]: time passes in one step and these nodes, or all, are ticked. */
  elapse: ({ cluster }, { words, named }) => {
    cluster.nowMs += Number(words[0])
    for (const id of named.has('nodes') ? numbers(named.get('nodes')) : cluster.ids) {
      if (cluster.isUp(id)) cluster.tick(id)
    }
  },
  /**
   * crash 1 [writes=1] [snapshot=stored]: stops a node; so many of its writes under way still reach the disk, and of the
   * next the snapshot alone.
   */
  crash: ({ cluster }, { words, named }) =>
    cluster.crash(Number(words[0]), {
      writes: Number(named.get('writes') ?? 0),
      snapshotOfNext: named.get('snapshot') === 'stored',
    }),
  restart: ({ cluster }, { words }) => {
    for (const id of words.map(Number)) cluster.restart(id)
  },
  /** partition 1,2 3,4,5: groups that cannot reach each other. */
  partition: ({ cluster }, { words }) => cluster.partition(words.map(numbers)),
  /** cut from=2 to=1: one direction only. */
  cut: ({ cluster }, { named }) => cluster.cut(Number(named.get('from')), Number(named.get('to'))),
  heal: ({ cluster }) => cluster.heal(),
  'link-closed': ({ cluster }, { words }) => cluster.linkClosed(Number(words[0]), Number(words[1])),
  resign: ({ cluster }, { words }) => cluster.resign(Number(words[0])),
  /** status [1 ...]: role, term, leader, commit index and log in memory. */
  status: (scenario, { words }) => {
    const { cluster } = scenario
    for (const id of words.length === 0 ? cluster.ids : words.map(Number))
      scenario.print(showStatus(cluster, id))
  },
}

/** 2/1:text or 3/3 */
function parseEntry(text: string): Entry {
  const [id, data] = text.split(':')
  const [index, term] = id!.split('/').map(Number)
  return { index: index!, term: term!, data: data === undefined ? null : toData(data) }
}

function showStatus(cluster: Cluster, id: number): string {
  if (!cluster.isUp(id)) return `${id} down, disk ${showEntries(cluster.disk(id).entries)}`
  const { role, term, leader, commitIndex } = cluster.raft(id)
  const { firstIndex, snapshotIndex } = cluster.raft(id)
  const snapshot = snapshotIndex === 0 ? '' : `snapshot=${snapshotIndex} `
  const kept = showEntries(cluster.log(id).slice(firstIndex - 1))
  return `${id} ${role} term=${term} leader=${leader ?? 'none'} commit=${commitIndex} ${snapshot}${kept}`
}

function numbers(text: string | undefined): number[] {
  return text === undefined || text === '' ? [] : text.split(',').map(Number)
}

/** One run of a scenario. */
export class Scenario {
  #cluster: Cluster | null = null
  #output: string[] = []
  #details = true

  get cluster(): Cluster {
    assert(this.#cluster !== null, 'a scenario starts with the command cluster')
    return this.#cluster
  }

  /** Runs the commands of one block and returns what they print. */
  runBlock(commands: readonly string[]): readonly string[] {
    this.#output = []
    for (const line of commands) {
      const [name, ...rest] = line.split(/\s+/)
      const command = COMMANDS[name!]
      assert(command !== undefined, `unknown command: ${line}`)
      const isNamed = (arg: string): boolean => arg.includes('=')
      const named = new Map(rest.filter(isNamed).map((arg) => arg.split('=') as [string, string]))
      try {
        command(this, { words: rest.filter((arg) => !isNamed(arg)), named })
      } catch (error) {
        if (!(error instanceof Error)) throw error
        this.print(`${error.name}: ${error.message}`)
      }
    }
    return this.#output.length === 0 ? ['ok'] : this.#output
  }

  printUnless(expected: string, result: { readonly kind: string }): void {
    if (result.kind !== expected) this.print(JSON.stringify(result))
  }

  print(line: string): void {
    this.#output.push(line)
  }

  start(options: { voters: number[]; learners: number[]; config: Partial<RaftConfig> }): void {
    this.factsOnly(() => {
      this.#cluster = new Cluster({
        ...options,
        trace: (line, kind) => {
          if (this.#details || kind === 'fact') this.print(line)
        },
      })
    })
  }

  factsOnly(action: () => void): void {
    this.#details = false
    try {
      action()
    } finally {
      this.#details = true
    }
  }

  /** Removes those that match from the messages in flight. */
  takeMessages({ named }: Args): Received[] {
    const { inFlight } = this.cluster
    const wanted = inFlight
      .filter(
        (message) =>
          (named.get('from') ?? String(message.from)) === String(message.from) &&
          numbers(named.get('to') ?? String(message.to)).includes(message.to) &&
          (named.get('type') ?? message.type) === message.type,
      )
      .slice(0, Number(named.get('count') ?? Number.POSITIVE_INFINITY))
    for (const message of wanted) inFlight.splice(inFlight.indexOf(message), 1)
    return wanted
  }
}
