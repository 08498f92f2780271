import type { Log } from '../base/log.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import type { DynamicSettings } from '../metadata/dynamic-settings.ts'

/** Takes the settings that the metadata has for this node, and logs what that changes. @returns whether any did. */
export function followSettings(
  dynamic: DynamicSettings,
  { image, log }: { readonly image: ClusterImage; readonly log: Log },
): boolean {
  const { changed, ignored } = dynamic.follow(image)
  for (const setting of changed) log.info('setting-changed', { ...setting })
  // A newer version may have allowed it.
  for (const setting of ignored) log.warn('setting-ignored', { ...setting })
  return changed.length > 0
}
