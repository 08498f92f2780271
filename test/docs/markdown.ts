// As much Markdown as the checks of the documents need.

/** A table with the texts as they are. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cellText).join(' | ')} |`
  return [line(header), `|${header.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

function cellText(cell: string): string {
  const text = cell.replaceAll('|', '\\|').replaceAll('\n', ' ')
  // Outside of code, what stands in angle brackets would be taken for HTML and not be shown.
  return text.includes('`') ? text : text.replaceAll('<', '\\<')
}

export function code(text: string | number): string {
  return `\`${text}\``
}

export interface CodeBlock {
  readonly language: string
  readonly text: string
  /** The comment in the line before, such as `runs in CI`; null when there is none. */
  readonly mark: string | null
  /** Of the line with the opening fence, from 1. */
  readonly line: number
}

export function codeBlocks(text: string): readonly CodeBlock[] {
  const lines = text.split('\n')
  const blocks: CodeBlock[] = []
  for (let i = 0; i < lines.length; i++) {
    const opening = /^```(\w*)$/.exec(lines[i]!)
    if (opening === null) continue
    const end = lines.indexOf('```', i + 1)
    if (end === -1) throw new Error(`the code block of line ${i + 1} has no end`)
    const mark = /^<!-- (.*) -->$/.exec(lines[i - 1] ?? '')?.[1] ?? null
    blocks.push({ language: opening[1]!, text: lines.slice(i + 1, end).join('\n'), mark, line: i + 1 })
    i = end
  }
  return blocks
}

/** The text without its code blocks, which keep their lines. */
export function withoutCodeBlocks(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, (block) => block.replaceAll(/[^\n]/g, ''))
}

/** Where the links of a text lead, images included. */
export function linkTargets(text: string): readonly string[] {
  return [...withoutCodeBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
}

/** The anchors of its headings, as GitHub makes them. */
export function anchors(text: string): ReadonlySet<string> {
  const found = new Set<string>()
  for (const [, heading] of withoutCodeBlocks(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    let anchor = slug
    for (let again = 1; found.has(anchor); again++) anchor = `${slug}-${again}`
    found.add(anchor)
  }
  return found
}
