// The format of text scenarios: blocks of commands, a line of four dashes, and what they are expected to print. Blocks
// are separated by an empty line; lines that start with # before a block tell the story and stay as they are.

export interface Block {
  /** Comment and empty lines before the commands. */
  readonly story: readonly string[]
  readonly commands: readonly string[]
  readonly expected: readonly string[]
}

const SEPARATOR = '----'

export function parseScenario(text: string): readonly Block[] {
  const blocks: Block[] = []
  const lines = text.trimEnd().split('\n')
  let place = 0
  const takeWhile = (holds: (line: string) => boolean): string[] => {
    const start = place
    while (place < lines.length && holds(lines[place]!)) place++
    return lines.slice(start, place)
  }
  while (place < lines.length) {
    const story = takeWhile((line) => line === '' || line.startsWith('#'))
    const commands = takeWhile((line) => line !== SEPARATOR && line !== '')
    if (commands.length === 0) break
    if (lines[place] !== SEPARATOR)
      throw new Error(`line ${place + 1}: expected ${SEPARATOR} after "${commands.at(-1)}"`)
    place++
    blocks.push({ story, commands, expected: takeWhile((line) => line !== '') })
  }
  return blocks
}

/** The text of a scenario with these outputs, one per block, in place of the expected ones. */
export function writeScenario(blocks: readonly Block[], outputs: readonly (readonly string[])[]): string {
  const lines = blocks.flatMap(({ story, commands }, i) => [...story, ...commands, SEPARATOR, ...outputs[i]!])
  return `${lines.join('\n')}\n`
}
