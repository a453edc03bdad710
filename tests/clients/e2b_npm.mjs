// SPDX-License-Identifier: Apache-2.0
// The npm SDKs' own ways to use a sandbox. Runs beside their node_modules.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { Sandbox, CommandExitError, SandboxNotFoundError } from 'e2b'
import { Sandbox as Interpreter } from '@e2b/code-interpreter'

const box = await Sandbox.create({ timeoutMs: 600_000, envs: { A: '1' }, metadata: { who: 'npm' } })

function tell(test, result, reason = '') {
  fs.appendFileSync(process.env.RESULTS, JSON.stringify({ test, result, reason }) + '\n')
}

const tests = {
  async readme() {
    const sandbox = await Interpreter.create()
    await sandbox.runCode('x = 1')
    assert.equal((await sandbox.runCode('x+=1; x')).text, '2')
    const context = await sandbox.createCodeContext({ cwd: '/tmp' })
    assert.equal((await sandbox.runCode('import os; os.getcwd()', { context })).text, '/tmp')
    await sandbox.kill()
  },
  async life_cycle() {
    const found = await Sandbox.list({ query: { metadata: { who: 'npm' } } }).nextItems()
    assert.deepEqual(found.map((s) => s.sandboxId), [box.sandboxId])
    const other = await Sandbox.create()
    await other.pause()
    assert.equal(await other.isRunning(), false)
    assert.equal(await (await Sandbox.connect(other.sandboxId)).isRunning(), true)
    assert.equal(await other.kill(), true)
    await assert.rejects(Sandbox.connect(other.sandboxId), SandboxNotFoundError)
  },
  async a_key_that_looks_like_one() {
    const apiKey = 'e2b_' + Buffer.from(process.env.E2B_API_KEY).toString('hex')
    const info = await Sandbox.getInfo(box.sandboxId, { apiKey })
    assert.equal(info.sandboxId, box.sandboxId)
  },
  async commands() {
    const done = await box.commands.run('echo $A; pwd; echo err >&2')
    assert.deepEqual([done.stdout, done.stderr], ['1\n/home/user\n', 'err\n'])
    await assert.rejects(box.commands.run('exit 3'), CommandExitError)
    const cat = await box.commands.run('cat', { background: true, stdin: true })
    await box.commands.sendStdin(cat.pid, 'typed')
    await box.commands.closeStdin(cat.pid)
    assert.equal((await cat.wait()).stdout, 'typed')
  },
  async files() {
    await box.files.write('d/a', 'text', { metadata: { k: 'v' } })
    assert.deepEqual((await box.files.getInfo('d/a')).metadata, { k: 'v' })
    await box.files.write('d/s', new Blob(['much '.repeat(100_000)]).stream(), { useOctetStream: true, gzip: true })
    assert.equal((await box.files.read('d/s')).length, 500_000)
    assert.deepEqual((await box.files.list('d')).map((e) => e.name), ['a', 's'])
    const res = await fetch(await box.downloadUrl('d/a'))
    assert.equal(await res.text(), 'text')
  },
  async watch() {
    await box.files.makeDir('seen')
    let see
    const seen = new Promise((resolve) => (see = resolve))
    const handle = await box.files.watchDir('seen', (event) => event.name === 'a' && see())
    await box.files.write('seen/a', '1')
    await seen
    await handle.stop()
  },
  async pty() {
    let out = ''
    const terminal = await box.pty.create({ cols: 80, rows: 24, onData: (data) => (out += Buffer.from(data)) })
    await box.pty.sendInput(terminal.pid, Buffer.from('echo $((6*7)); exit\n'))
    await terminal.wait()
    assert.ok(out.includes('42'))
  },
  async snapshot_and_fork() {
    await box.files.write('state', 'before')
    const snapshot = await box.createSnapshot()
    const other = await Sandbox.create(snapshot.snapshotId)
    assert.equal(await other.files.read('state'), 'before')
    await other.kill()
    const [fork] = await box.fork()
    assert.equal(await fork.files.read('state'), 'before')
    await fork.kill()
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId), true)
  },
}

for (const [name, test] of Object.entries(tests)) {
  try {
    await test()
    tell(`npm: ${name}`, 'passed')
  } catch (e) {
    console.error(name, e)
    tell(`npm: ${name}`, 'failed', String(e).slice(0, 300))
  }
}
await box.kill()
process.exit(0)
