/* Versions, requirements and needs, as the library reads them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './load.mjs';

const { compare, fitting, requirement, version, versionOf } = await load('version');
const { declared, lack, need } = await load('needs');

const fits = (wanted, text) => fitting(requirement(wanted), [version(text)]).length === 1;

test('a version is semantic, a v and missing parts forgiven', () => {
  for (const [text, expected] of [['1.2.3', '1.2.3-'], ['v2', '2.0.0-'], ['1.4', '1.4.0-'], ['1.0.0-rc.1+b', '1.0.0-rc.1']]) {
    const read = version(text);
    assert.equal(`${read.major}.${read.minor}.${read.patch}-${read.pre}`, expected, text);
  }
  for (const text of ['', 'latest', '1.4.x', '1.4-rc', '1.2.3.4']) assert.equal(version(text), null, text);
  assert.equal(versionOf({ version: 'nightly' }, ['v1.2.3']).text, 'v1.2.3');
  assert.deepEqual(versionOf({ version: 'nightly' }, []), { text: 'nightly', version: null });
  assert.equal(versionOf({}, ['very-old']), null);
  const sorted = ['1.0.0', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0-alpha', '0.9.9'].map(version).sort(compare).map((one) => one.text);
  assert.deepEqual(sorted, ['0.9.9', '1.0.0-alpha', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0']);
});

test('requirements accept what cargo’s do', () => {
  for (const [wanted, yes, no] of [
    ['^2.1', ['2.1.0', '2.9.9'], ['2.0.9', '3.0.0', '2.2.0-rc.1']],
    ['2.1', ['2.1.0', '2.9.9'], ['3.0.0']],
    ['~1.4', ['1.4.0', '1.4.9'], ['1.5.0']],
    ['1.4.*', ['1.4.0', '1.4.9'], ['1.5.0']],
    ['>=1.4, <2', ['1.4.0', '1.99.0'], ['2.0.0', '1.3.9']],
    ['=1.2.3', ['1.2.3'], ['1.2.4']],
    ['^0.3', ['0.3.0', '0.3.9'], ['0.4.0']],
    ['^0.0.3', ['0.0.3'], ['0.0.4']],
    ['*', ['1.0.0', '0.0.1'], ['1.0.0-rc.1']],
    ['>=2.0.0-rc.1', ['2.0.0-rc.2', '2.0.0'], ['2.1.0-rc.1']],
    ['^2 +pre', ['2.0.0', '2.1.0-rc.1'], ['3.0.0-rc.1']],
    ['>1.4', ['1.5.0', '2.0.0'], ['1.4.9']],
    ['<=1.4', ['1.4.9', '1.0.0'], ['1.5.0']],
  ]) {
    for (const text of yes) assert.ok(fits(wanted, text), `${wanted} accepts ${text}`);
    for (const text of no) assert.ok(!fits(wanted, text), `${wanted} does not accept ${text}`);
  }
  for (const text of ['', '^^2', 'a', '>=1, ']) assert.equal(requirement(text), null, text);
  const known = ['1.4.1', '1.4.0', '1.3.9', '2.0.0-rc.1'].map(version);
  assert.deepEqual(fitting(requirement('latest'), known).map((one) => one.text), ['1.4.1']);
  assert.deepEqual(fitting(requirement('latest-minor'), known).map((one) => one.text), ['1.4.1', '1.4.0']);
});

test('a need is read whole or not at all', () => {
  const one = need('dc2/db@>=14, <16:2?!');
  assert.deepEqual([one.service, one.datacenter, one.required, one.least, one.optional], ['db', 'dc2', '>=14, <16', 2, true]);
  assert.equal(need('my%20web').service, 'my web');
  for (const text of ['', '/db', 'a b', 'db@', 'db@x', 'db:0', 'db:65536', 'db??', 'db:1:2']) assert.equal(need(text), null, text);
});

test('a declaration may go on in the next pair, and a part is not taken for the whole', () => {
  const texts = (meta) => [declared(meta).needs.map((one) => one.text), declared(meta).unreadable];
  assert.deepEqual(texts({}), [[], []]);
  assert.deepEqual(texts({ 'portolan-needs': 'db@^14; cache?;' }), [['db@^14', 'cache?'], []]);
  assert.deepEqual(texts({ 'portolan-needs': 'db@>=14, <16, cache?' }), [['db@>=14, <16', 'cache?'], []]);
  assert.deepEqual(texts({ 'portolan-needs': 'db; ca\\', 'portolan-needs-2': 'che?' }), [['db', 'cache?'], []]);
  assert.deepEqual(texts({ 'portolan-needs': 'db; ca\\' }), [['db'], ['ca']]);
  assert.deepEqual(texts({ 'portolan-needs': 'db; @' }), [['db'], ['@']]);
});

test('what a need lacks is told with what is there', () => {
  const at = (text, state = 'passing') => ({ status: state, meta: { version: text }, tags: [] });
  assert.equal(lack(need('db'), undefined), 'no instance is registered');
  assert.equal(lack(need('db'), { known: 1, healthy: 0 }), undefined);
  assert.equal(lack(need('db'), {}, [at('1.0.0')]), null);
  assert.equal(lack(need('db'), {}, [at('1.0.0', 'warning')]), '1 known, 0 healthy');
  assert.equal(lack(need('db:2'), {}, [at('1.0.0')]), '1 known, 1 healthy; 2 are needed');
  assert.equal(lack(need('db@^2'), {}, [at('1.0.0'), at('2.0.0', 'critical')]), '2 known, 1 healthy, 0 match ^2');
  assert.equal(lack(need('db@^2'), {}, [at('2.0.0')]), null);
});
