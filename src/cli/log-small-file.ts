import type { SmallFile } from '../storage/small-files.ts'

/** One line: whether the checksum is right, and what is in it. */
export function smallFileAsText(name: string, content: SmallFile): string {
  switch (content.status) {
    case 'absent':
      return `${name}: there is no such file`
    case 'ok':
      return `${name}: checksum ok  ${JSON.stringify(content.data)}`
    case 'newer':
      return `${name}: format version ${content.version}, which a later release wrote`
    case 'damaged':
      return `${name}: DAMAGED: ${content.reason}. ${content.whenDamaged}`
  }
}
