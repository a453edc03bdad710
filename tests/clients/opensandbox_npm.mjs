// SPDX-License-Identifier: Apache-2.0
// The npm SDK's own ways to use a sandbox. Runs beside its node_modules.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { Sandbox, SandboxManager } from '@alibaba-group/opensandbox'

const image = 'opensandbox/code-interpreter:v1.0.2'
const box = await Sandbox.create({ image, timeoutSeconds: 600, env: { A: '1' }, metadata: { who: 'npm' } })

function tell(test, result, reason = '') {
  fs.appendFileSync(process.env.RESULTS, JSON.stringify({ test, result, reason }) + '\n')
}

const lines = (execution) => execution.logs.stdout.map((line) => line.text)

const tests = {
  async life_cycle() {
    const manager = SandboxManager.create()
    const found = await manager.listSandboxInfos({ metadata: { who: 'npm' } })
    assert.deepEqual(found.items.map((s) => s.id), [box.id])
    assert.equal((await box.getInfo()).status.state, 'Running')
    const other = await Sandbox.create({ image, timeoutSeconds: 60 })
    await other.pause()
    assert.equal((await other.getInfo()).status.state, 'Paused')
    const again = await other.resume()
    assert.deepEqual(lines(await again.commands.run('echo on')), ['on'])
    await again.kill()
    await assert.rejects(other.getInfo())
  },
  async commands() {
    const done = await box.commands.run('echo $A; echo err >&2; exit 3')
    assert.deepEqual([lines(done), done.logs.stderr[0].text, done.exitCode], [['1'], 'err', 3])
    const seen = []
    await box.commands.run('echo a; echo b', {}, { onStdout: (line) => { seen.push(line.text) } })
    assert.deepEqual(seen, ['a', 'b'])
  },
  async files() {
    await box.files.createDirectories([{ path: '/tmp/n', mode: 755 }])
    await box.files.writeFiles([{ path: '/tmp/n/a', data: 'text', mode: 644 }])
    assert.equal(await box.files.readFile('/tmp/n/a'), 'text')
    assert.equal((await box.files.getFileInfo(['/tmp/n/a']))['/tmp/n/a'].size, 4)
    assert.deepEqual((await box.files.search({ path: '/tmp/n', pattern: '*' })).map((e) => e.path), ['/tmp/n/a'])
    await box.files.deleteFiles(['/tmp/n/a'])
    await assert.rejects(box.files.readFile('/tmp/n/a'))
  },
  async endpoints_and_metrics() {
    assert.match((await box.getEndpoint(8080)).endpoint, /\/8080$/)
    assert.ok((await box.getMetrics()).memoryTotalMiB > 0)
  },
}

for (const [name, test] of Object.entries(tests)) {
  try {
    await test()
    tell(`npm: ${name}`, 'passed')
  } catch (e) {
    console.error(e)
    tell(`npm: ${name}`, 'failed', `${e}`.slice(0, 300))
  }
}
await box.kill()
