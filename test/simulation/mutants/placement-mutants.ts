// What a controller can do wrong when it chooses brokers for replicas, or lets one go. None of them is in the catalogue.
import type { Mutant } from './mutant.ts'

export const PLACEMENT_MUTANTS: readonly Mutant[] = [
  {
    id: 'P1',
    name: 'new replicas are placed on cordoned brokers',
    item: 'REMOVAL',
    edit: {
      file: 'src/metadata/cluster-image.ts',
      text: 'return isActive(broker) && !broker.cordoned',
      replacement: 'return isActive(broker)',
    },
    killer: { kind: 'simulation', expected: /REMOVAL\b/ },
  },
  {
    id: 'P2',
    name: 'a move adds a cordoned broker',
    item: 'REMOVAL',
    edit: {
      file: 'src/metadata/decide-reassign.ts',
      text: 'if (broker.cordoned)',
      replacement: 'if (broker.cordoned && broker.fenced)',
    },
    killer: { kind: 'simulation', expected: /REMOVAL\b/ },
  },
  {
    id: 'P3',
    name: 'a cordoned broker that registers again gets new replicas',
    item: 'REMOVAL',
    edit: {
      file: 'src/metadata/image-apply.ts',
      text: 'cordoned: previous?.cordoned ?? false,',
      replacement: 'cordoned: false,',
    },
    killer: { kind: 'simulation', expected: /REMOVAL\b/ },
  },
  {
    id: 'P4',
    name: 'a broker is unregistered while it hosts replicas',
    item: 'REMOVAL',
    edit: {
      file: 'src/metadata/decide-broker-removal.ts',
      text: 'if (first === null) return null',
      replacement: 'if (first === null || replicas > 0) return null',
    },
    killer: { kind: 'simulation', expected: /is taken away and hosts/ },
  },
  {
    id: 'P5',
    name: 'replicas are placed as if no broker had a rack',
    item: 'RACKS',
    edit: {
      file: 'src/metadata/placement.ts',
      text: 'const hasRacks = sorted.every(({ rack }) => rack !== null)',
      replacement: 'const hasRacks = sorted.every(({ rack }) => rack === undefined)',
    },
    killer: { kind: 'simulation', expected: /RACKS\b/ },
  },
  {
    id: 'P6',
    name: 'partitions that are added are placed on cordoned brokers',
    item: 'REMOVAL',
    edit: {
      file: 'src/metadata/decide-create-partitions.ts',
      text: 'const brokers = [...image.brokers.values()].filter(mayTakeReplicas)',
      replacement:
        'const brokers = [...image.brokers.values()].filter((one) => !one.fenced || mayTakeReplicas(one))',
    },
    killer: { kind: 'simulation', expected: /REMOVAL\b/ },
  },
]
