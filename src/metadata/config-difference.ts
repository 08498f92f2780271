/**
 * What is set otherwise, in words; empty where nothing is.
 * @param unset what is said of a value that is not set.
 */
export function differenceOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  unset: string,
): string {
  const names = [...new Set([...before.keys(), ...after.keys()])].filter(
    (name) => before.get(name) !== after.get(name),
  )
  const shown = (value: string | undefined): string => value ?? unset
  return names
    .map((name) => `${name} from ${shown(before.get(name))} to ${shown(after.get(name))}`)
    .join(', ')
}
