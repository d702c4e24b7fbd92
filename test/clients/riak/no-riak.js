// Runs the tests that ship inside no-riak, and compares what fails with the list in
// no-riak.failing: it is an error when another test fails, and when a listed one
// passes, or is not there any more.
'use strict';

const fs = require('fs');
const path = require('path');
const { spawnSync } = require('child_process');

const home = path.dirname(require.resolve('no-riak/package.json'));
const mocha = path.join(path.dirname(require.resolve('mocha/package.json')), 'bin', '_mocha');

// listed maps the full title of a test to the cause of its failure: lines of
// "cause: title".
function listed() {
    const tests = new Map();
    for (const line of fs.readFileSync(path.join(__dirname, 'no-riak.failing'), 'utf8').split('\n')) {
        const at = line.indexOf(': ');
        if (line && !line.startsWith('#')) tests.set(line.slice(at + 2), line.slice(0, at));
    }
    return tests;
}

const run = spawnSync(process.execPath,
    [mocha, '--require', 'test/globals', '--recursive', '--reporter', 'json', 'test'],
    { cwd: home, encoding: 'utf8', timeout: 120000, maxBuffer: 64 << 20 });
let report;
try {
    report = JSON.parse(run.stdout.slice(run.stdout.indexOf('{\n')));
} catch (err) {
    console.error(run.stdout, run.stderr, run.error || '');
    throw err;
}

const expected = listed();
const failed = new Map(report.failures.map((f) => [f.fullTitle, f.err.message || '']));
const passed = new Set(report.passes.map((p) => p.fullTitle));
let wrong = 0;
for (const [title, message] of failed) {
    if (!expected.has(title)) {
        console.error(`fails, and is not listed: ${title}\n    ${message}`);
        wrong++;
    }
}
for (const [title, cause] of expected) {
    if (!failed.has(title)) {
        console.error(`${passed.has(title) ? 'passes' : 'is not there'}, and is listed (${cause}): ${title}`);
        wrong++;
    }
}
console.log(`no-riak: ${passed.size} passed, ${failed.size} failed, of which ${expected.size} were expected to`);
if (passed.size === 0 || wrong > 0) process.exit(1);
