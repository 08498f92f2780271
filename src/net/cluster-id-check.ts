import { VltavaError } from '../model/errors.ts'
import type { ClusterId } from '../model/ids.ts'

/**
 * Two sides that both know their cluster must know the same one.
 * @throws VltavaError INCONSISTENT_CLUSTER_ID naming both.
 */
export function checkClusterId(ids: {
  readonly own: ClusterId | null
  readonly other: ClusterId | null
  readonly address: string
}): void {
  const { own, other, address } = ids
  if (own === null || other === null || own === other) return
  const detail = `This side belongs to cluster ${own}, ${address} to cluster ${other}.`
  throw new VltavaError('INCONSISTENT_CLUSTER_ID', detail)
}
