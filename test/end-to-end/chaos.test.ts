import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LocalCluster } from '../../src/cli/local-cluster.ts'
import { checkHistory } from '../../src/history/check-history.ts'
import { parseHistory } from '../../src/history/history-file.ts'
import { makeDirectory, removeDirectory, runCommand, startCommand } from './command.ts'

describe('vltava chaos run', () => {
  const scratch = makeDirectory('chaos')
  afterAll(() => removeDirectory(scratch))

  const running = (dataDir: string): readonly number[] => {
    const cluster = LocalCluster.load(dataDir)
    return cluster.nodes.filter((node) => cluster.isRunning(node)).map(({ id }) => id)
  }

  it('SIM-29: kill, pause and partition for ten seconds -> clean, and the history says so again', async () => {
    const [history, dataDir] = [join(scratch, 'short.jsonl'), join(scratch, 'short')]
    const options = [
      '--duration',
      '10s',
      '--interval',
      '1s',
      '--faults',
      'kill,pause,partition',
      '--seed',
      '5',
    ]
    const { code, stdout, stderr } = await runCommand(
      ['chaos', 'run', ...options, '--json', '--history', history, '--data-dir', dataDir],
      { env: { TMPDIR: scratch } },
    )
    expect({ code, stdout: stdout.toString(), stderr }).toMatchObject({ code: 0 })
    const report = JSON.parse(stdout.toString()) as Record<string, unknown> & { acknowledged: number }
    expect(report).toMatchObject({ clean: true, seed: 5, findings: [], problems: [], historyFile: history })
    expect(report.acknowledged).toBeGreaterThan(0)
    expect(Object.keys(report['faults'] as object).toSorted()).toEqual(['kill', 'partition', 'pause'])
    expect(stderr).toContain(`The history is in ${history}`)
    expect(running(dataDir)).toEqual([])

    const { events } = parseHistory(readFileSync(history, 'utf8'))
    const { valid, statistics } = checkHistory(events, { allowed: ['duplicate'] })
    expect(valid).toBe(true)
    expect(statistics).toMatchObject({ acknowledged: report.acknowledged, unread: 0, open: 0 })
    expect((await runCommand(['verify', '--allow', 'duplicate', history])).code).toBe(0)
  }, 180_000)

  it('Ctrl-C in the middle -> exit 130, no node is left, the history is readable', async () => {
    const [history, dataDir] = [join(scratch, 'interrupted.jsonl'), join(scratch, 'interrupted')]
    const command = startCommand(
      [
        'chaos',
        'run',
        '--faults',
        'pause',
        '--interval',
        '200ms',
        '--seed',
        '1',
        '--history',
        history,
        '--data-dir',
        dataDir,
      ],
      { TMPDIR: scratch },
    )
    await command.whenSaid('pause node')
    command.child.kill('SIGINT')
    expect(await command.done).toMatchObject({ code: 130 })
    expect(running(dataDir)).toEqual([])
    expect(parseHistory(readFileSync(history, 'utf8')).events.length).toBeGreaterThan(0)
  }, 180_000)

  it('two Ctrl-C -> the command ends at once and takes the nodes with it, also one that is stopped', async () => {
    const dataDir = join(scratch, 'impatient')
    const command = startCommand(
      [
        'chaos',
        'run',
        '--faults',
        'pause',
        '--interval',
        '200ms',
        '--seed',
        '1',
        '--history',
        join(scratch, 'i.jsonl'),
        '--data-dir',
        dataDir,
      ],
      { TMPDIR: scratch },
    )
    await command.whenSaid('pause node')
    command.child.kill('SIGINT')
    command.child.kill('SIGTERM')
    expect(await command.done).toMatchObject({ code: 130 })
    const cluster = LocalCluster.load(dataDir)
    // SIGKILL has been sent; the kernel may take a moment.
    for (const { id } of cluster.nodes) expect(await cluster.whenStopped(id, 30_000)).toBe(true)
  }, 180_000)

  it('wrong usage -> exit 2 and what is allowed, nothing is started', async () => {
    const { code, stderr } = await runCommand(['chaos', 'run', '--faults', 'kill,meteor'])
    expect(code).toBe(2)
    expect(stderr).toBe(
      'vltava: --faults: there is no fault "meteor"; there are kill, kill-all, pause, pause-kill, partition, reset, slow, restart, and all\n',
    )
    expect(existsSync('chaos.jsonl')).toBe(false)
  })
})
