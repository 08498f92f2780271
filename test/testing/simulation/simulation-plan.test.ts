import { describe, expect, it } from 'vitest'
import { checkTopicConfigs } from '../../../src/metadata/topic-configs.ts'
import { PARTITIONS_PER_TOPIC_MAX } from '../../../src/model/limits.ts'
import { readConfig } from '../../../src/server/config.ts'
import { RandomStreams } from '../../../src/testing/simulation/random-streams.ts'
import {
  drawPlan,
  FAULT_NAMES,
  type FaultName,
  type SimulationPlan,
  planOf as wholePlanOf,
  withOperator,
  withQuorumOperator,
  withRacks,
} from '../../../src/testing/simulation/simulation-plan.ts'

const SEEDS = 1_000

function planOf(seed: number, only?: readonly FaultName[]): SimulationPlan {
  return drawPlan(new RandomStreams(seed).stream('plan'), only)
}

const plans = Array.from({ length: SEEDS }, (_, seed) => planOf(seed))

/** All values that a part of the plans takes. */
function valuesOf(part: (plan: SimulationPlan) => unknown): unknown[] {
  return [...new Set(plans.map(part))].sort((a, b) => (String(a) < String(b) ? -1 : 1))
}

describe('drawPlan', () => {
  it('SIM-9: any seed -> settings that a node accepts, as broker and as controller', () => {
    for (const { nodes, voters, settings } of plans) {
      for (const id of [1, nodes]) {
        const { integers, roles } = readConfig({
          flags: {
            ...settings,
            'node.id': id,
            'process.roles': id <= voters ? 'broker,controller' : 'broker',
            'log.dir': '/data',
            'listener.host': `node-${id}`,
            'controller.quorum.voters': Array.from(
              { length: voters },
              (_, i) => `${i + 1}@node-${i + 1}:1`,
            ).join(),
          },
          environment: {},
          file: null,
        })
        expect(integers).toMatchObject(settings)
        expect(roles).toEqual({ broker: true, controller: id <= voters })
      }
    }
  })

  it('SIM-9: any seed -> topics that a controller accepts and the cluster can place', () => {
    for (const { topics, nodes } of plans) {
      expect(new Set(topics.map(({ name }) => name)).size).toBe(topics.length)
      for (const { partitions, replicationFactor, configs } of topics) {
        const checked = checkTopicConfigs(Object.entries(configs).map(([name, value]) => ({ name, value })))
        expect(Object.fromEntries(checked)).toEqual(configs)
        expect(partitions).toBeGreaterThanOrEqual(1)
        expect(partitions).toBeLessThanOrEqual(PARTITIONS_PER_TOPIC_MAX)
        expect(replicationFactor).toBeGreaterThanOrEqual(1)
        expect(replicationFactor).toBeLessThanOrEqual(nodes)
      }
    }
  })

  it('SIM-9: any seed -> an odd number of voters, at most as many as nodes', () => {
    for (const { nodes, voters } of plans) {
      expect(voters % 2).toBe(1)
      expect(voters).toBeLessThanOrEqual(nodes)
    }
    expect(valuesOf(({ nodes, voters }) => `${nodes} nodes, ${voters} vote`)).toEqual([
      '1 nodes, 1 vote',
      '2 nodes, 1 vote',
      '3 nodes, 3 vote',
      '4 nodes, 3 vote',
      '5 nodes, 3 vote',
      '5 nodes, 5 vote',
    ])
  })

  it('SIM-9: any seed -> a session outlasts several heartbeats, an election several of the leader', () => {
    for (const { settings } of plans) {
      expect(settings['broker.session.timeout.ms']).toBeGreaterThanOrEqual(
        3 * settings['broker.heartbeat.interval.ms']!,
      )
      expect(settings['controller.quorum.election.timeout.ms']).toBeGreaterThanOrEqual(
        3 * settings['controller.quorum.heartbeat.interval.ms']!,
      )
    }
  })

  it('SIM-9: 200 seeds -> every fault, each pair of faults, none and nearly all of them occur', () => {
    const pairs = new Set<string>()
    const alone = new Map<FaultName, number>()
    for (const { faults } of plans.slice(0, 200)) {
      for (const a of faults) {
        alone.set(a, (alone.get(a) ?? 0) + 1)
        for (const b of faults) if (a < b) pairs.add(`${a} and ${b}`)
      }
    }
    expect([...alone.keys()].sort()).toEqual([...FAULT_NAMES].sort())
    for (const [name, count] of alone) expect([name, count > 40]).toEqual([name, true])
    expect(pairs.size).toBe((FAULT_NAMES.length * (FAULT_NAMES.length - 1)) / 2)
    const sizes = plans.map(({ faults }) => faults.length)
    expect(Math.min(...sizes)).toBeLessThanOrEqual(3)
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(13)
  })

  it('SIM-9: a cluster of one -> no disk is wiped, as nobody else would have the records', () => {
    for (const { nodes, faults } of plans) if (nodes === 1) expect(faults).not.toContain('wipe')
    expect(plans.some(({ nodes, faults }) => nodes === 2 && faults.includes('wipe'))).toBe(true)
  })

  it('SIM-9: every choice -> taken both ways, and in all combinations of load', () => {
    expect(valuesOf(({ leavesOneDead }) => leavesOneDead)).toEqual([false, true])
    expect(valuesOf(({ makesTopics }) => makesTopics)).toEqual([false, true])
    expect(valuesOf(({ deletesRecords }) => deletesRecords)).toEqual([false, true])
    expect(valuesOf(({ producers, consumers }) => `${producers}${consumers}`)).toHaveLength(6)
    expect(valuesOf(({ latency, disk }) => `${latency.meanMs} ${disk.syncMs}`)).toHaveLength(9)
    expect(valuesOf(({ topics }) => topics.map(({ replicationFactor }) => replicationFactor).join())).toEqual(
      [...['1', '1,1', '1,2', '1,3', '2', '2,1', '2,2', '2,3', '3', '3,1', '3,2', '3,3']],
    )
    for (const name of Object.keys(plans[0]!.settings))
      expect([name, valuesOf(({ settings }) => settings[name]).length]).not.toEqual([name, 1])
    for (const { safetyMs } of plans) {
      expect(safetyMs).toBeGreaterThanOrEqual(8_000)
      expect(safetyMs).toBeLessThanOrEqual(24_000)
    }
  })

  it('SIM-23: only some faults -> those of the seed among them; all else of the plan stays', () => {
    for (let seed = 0; seed < 100; seed++) {
      const { faults, ...rest } = planOf(seed)
      const only: FaultName[] = ['kill', 'partition', 'wipe']
      const { faults: left, ...same } = planOf(seed, only)
      expect(left).toEqual(faults.filter((name) => only.includes(name)))
      expect(same).toEqual(rest)
      expect(planOf(seed, []).faults).toEqual([])
    }
  })

  it('SIM-6: the same seed -> the same plan', () => {
    expect(planOf(123)).toEqual(planOf(123))
    expect(planOf(123)).not.toEqual(planOf(124))
  })
})

describe('withOperator', () => {
  const operated = plans.map((plan, seed) => withOperator(plan, new RandomStreams(seed).stream('operator')))

  it('any seed -> voters and observers that the cluster can place, and no more members needed than there are voters', () => {
    for (const { topics, nodes, changesRoles, leavesOneDead } of operated) {
      for (const { replicationFactor, observers = 0, configs } of topics) {
        expect(replicationFactor).toBeGreaterThanOrEqual(1)
        expect(replicationFactor + observers).toBeLessThanOrEqual(nodes)
        if (changesRoles)
          expect(Number(configs['min.insync.replicas'])).toBeLessThanOrEqual(replicationFactor)
      }
      expect(changesRoles && leavesOneDead).toBe(false)
    }
  })

  it('most seeds stand for what they stood for without it; the others have observers, changes of roles and of settings', () => {
    const same = operated.filter((plan, seed) => JSON.stringify(plan) === JSON.stringify(plans[seed]))
    expect(same.length).toBeGreaterThan(SEEDS / 2)
    const count = (has: (plan: SimulationPlan) => boolean) => operated.filter(has).length
    expect(count(({ topics }) => topics.some(({ observers = 0 }) => observers > 0))).toBeGreaterThan(100)
    expect(count(({ changesRoles }) => changesRoles)).toBeGreaterThan(50)
    expect(count(({ changesFlush }) => changesFlush)).toBeGreaterThan(50)
  })
})

describe('withQuorumOperator', () => {
  const operated = plans.map((plan, seed) =>
    withQuorumOperator(plan, new RandomStreams(seed).stream('controller')),
  )

  it('most seeds stand for what they stood for without it; only clusters of several controllers change them', () => {
    const changed = operated.filter(({ changesVoters }) => changesVoters)
    expect(changed.length).toBeGreaterThan(SEEDS / 10)
    expect(changed.length).toBeLessThan(SEEDS / 3)
    for (const { voters, leavesOneDead } of changed) {
      expect(voters).toBeGreaterThanOrEqual(3)
      expect(leavesOneDead).toBe(false)
    }
    const others = operated.flatMap((plan, seed) =>
      plan.changesVoters ? [] : [[plan, plans[seed]] as const],
    )
    for (const [plan, before] of others) expect(plan).toBe(before)
  })
})

describe('withRacks', () => {
  const placed = plans.map((plan, seed) => withRacks(plan, new RandomStreams(seed).stream('zones')))

  it('most seeds have the very same plan; in the others several nodes stand in the same rack', () => {
    const inRacks = placed.filter(({ racks }) => racks !== undefined)
    expect(inRacks.length).toBeGreaterThan(SEEDS / 6)
    expect(inRacks.length).toBeLessThan(SEEDS / 3)
    for (const { racks, nodes } of inRacks) {
      expect(racks).toBeGreaterThanOrEqual(2)
      expect(racks).toBeLessThan(nodes)
    }
    const shapes = new Set(inRacks.map(({ racks, nodes }) => `${racks} of ${nodes}`))
    expect([...shapes].toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      ...['2 of 3', '2 of 4', '2 of 5', '3 of 4', '3 of 5', '4 of 5'],
    ])
    for (const [seed, plan] of placed.entries()) if (plan.racks === undefined) expect(plan).toBe(plans[seed])
  })

  it('SIM-6: the plan of a seed -> the racks that are drawn for it, and nothing else of them', () => {
    for (let seed = 0; seed < 50; seed++) {
      const { racks, ...rest } = wholePlanOf(new RandomStreams(seed))
      expect(racks).toBe(placed[seed]!.racks)
      expect('racks' in rest).toBe(false)
    }
  })
})
