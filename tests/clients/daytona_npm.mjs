// SPDX-License-Identifier: Apache-2.0
// The npm SDK's own ways to use a sandbox. Runs beside its node_modules.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { Daytona, Image } from '@daytonaio/sdk'

const big = Number(process.env.BIG ?? 6 << 20)
const only = process.env.ONLY?.split(' ')
const daytona = new Daytona()
const box = await daytona.create({ language: 'python' })

function tell(test, result, reason = '') {
  fs.appendFileSync(process.env.RESULTS, JSON.stringify({ test, result, reason }) + '\n')
}

const tests = {
  async exec_and_code_run() {
    const done = await box.process.executeCommand('echo $A; pwd; exit 3', '/tmp', { A: '1' }, 20)
    assert.equal(done.result, '1\n/tmp\n')
    assert.equal(done.exitCode, 3)
    assert.equal((await box.process.codeRun('print(6*7)')).result, '42\n')
  },
  async files() {
    await box.fs.uploadFiles([{ source: Buffer.from('one'), destination: 'd/1' }, { source: Buffer.from('two'), destination: 'd/2' }])
    assert.equal((await box.fs.downloadFile('d/1')).toString(), 'one')
    const [good, bad] = await box.fs.downloadFiles([{ source: 'd/2' }, { source: 'd/none' }])
    assert.ok(good.result.toString() === 'two' && bad.error)
    assert.deepEqual((await box.fs.listFiles('d')).map((f) => f.name), ['1', '2'])
    assert.equal((await box.fs.findFiles('d', 'two'))[0].line, 1)
    assert.ok((await box.fs.replaceInFiles(['d/1'], 'one', 'three'))[0].success)
    assert.equal((await box.fs.getFileDetails('d/1')).size, 5)
  },
  async sessions() {
    await box.process.createSession('s')
    const done = await box.process.executeSessionCommand('s', { command: 'cd /tmp; echo out; echo err >&2' })
    assert.deepEqual([done.stdout, done.stderr, done.exitCode], ['out\n', 'err\n', 0])
    const started = await box.process.executeSessionCommand('s', { command: 'read a; echo got $a; echo e >&2', runAsync: true })
    let out = '', err = ''
    const follow = box.process.getSessionCommandLogs('s', started.cmdId, (x) => (out += x), (x) => (err += x))
    await box.process.sendSessionCommandInput('s', started.cmdId, 'abc')
    await follow
    assert.ok(out.endsWith('got abc\n') && err === 'e\n')
    await box.process.deleteSession('s')
  },
  async pty() {
    let said = ''
    const handle = await box.process.createPty({ id: 'p', cols: 100, rows: 30, envs: { FOO: 'bar' }, onData: (x) => { said += new TextDecoder().decode(x) } })
    await handle.waitForConnection()
    await handle.sendInput('echo $FOO; stty size; exit 5\n')
    assert.equal((await handle.wait()).exitCode, 5)
    assert.ok(said.includes('bar') && said.includes('30 100'))
  },
  async interpreter() {
    const done = await box.codeInterpreter.runCode('print(1)\n1/0')
    assert.ok(done.stdout === '1\n' && done.error.name === 'ZeroDivisionError')
  },
  async git() {
    await box.process.executeCommand('git init -q r; echo 1 > r/f')
    assert.equal((await box.git.status('r')).fileStatus[0].name, 'f')
    await box.git.add('r', ['f'])
    assert.equal((await box.git.commit('r', 'm', 'A', 'a@b')).sha.length, 40)
  },
  async an_image_with_files() {
    const said = []
    fs.mkdirSync('image/dir', { recursive: true })
    fs.writeFileSync('image/one', 'one\n')
    fs.writeFileSync('image/dir/big', Buffer.alloc(big)) // more than one part
    const image = Image.base('host').addLocalFile('image/one', '/one').addLocalDir('image/dir', '/dir').runCommands('echo said; sleep 1')
    const made = await daytona.create({ image }, { onSnapshotCreateLogs: (x) => said.push(x), timeout: 60 })
    assert.equal((await made.process.executeCommand('cat /one; wc -c < /dir/big')).result, `one\n${big}\n`)
    assert.ok(said.join('').includes('said'))
    await daytona.delete(made)
    await assert.rejects(daytona.create({ image: Image.base('host').runCommands('exit 7') }), /non-zero code: 7/)
  },
  async snapshots() {
    const said = []
    const made = await daytona.snapshot.create({ name: 'npm-snap:1', image: Image.base('host').runCommands('echo npm > /s; sleep 1') }, { onLogs: (x) => said.push(x) })
    assert.equal(made.state, 'active')
    assert.ok(said.join('').includes('Step 2/2'))
    const from = await daytona.create({ snapshot: 'npm-snap:1' })
    assert.equal((await from.process.executeCommand('cat /s')).result, 'npm\n')
    await daytona.delete(from)
    await daytona.snapshot.delete(await daytona.snapshot.get('npm-snap:1'))
  },
  async signed_previews() {
    const link = await box.getSignedPreviewUrl(8000, 120)
    assert.ok(link.url.includes(link.token))
    await box.expireSignedPreviewUrl(8000, link.token)
    await assert.rejects(box.expireSignedPreviewUrl(8000, link.token))
  },
  async life_cycle() {
    await box.setLabels({ me: 'npm' })
    await box.stop()
    await box.start()
    assert.equal((await box.fs.downloadFile('d/2')).toString(), 'two')
    assert.ok((await box.getPreviewLink(3000)).url.includes('/daytona/preview/'))
    await daytona.delete(box)
    await assert.rejects(daytona.get(box.id))
  },
}

for (const [name, test] of Object.entries(tests)) {
  if (only && !only.includes(name)) continue
  try {
    await test()
    tell(`npm_${name}`, 'passed')
  } catch (e) {
    console.error(e)
    tell(`npm_${name}`, 'failed', String(e).slice(0, 300))
  }
}
process.exit(0)
