import { expect } from 'chai';
import { createReadiness } from '../../src/server/readiness.js';

describe('readiness', () => {
  it('is LIVE, once, when all that it waited for has come', () => {
    const readiness = createReadiness();
    let live = 0;
    readiness.onLive(() => live++);
    const clusters = readiness.wait('clusters');
    const listeners = readiness.wait('listeners');
    expect(readiness.state()).to.equal('INITIALIZING');
    clusters();
    clusters();
    expect([readiness.state(), [...readiness.waiting], live]).to.deep.equal(['INITIALIZING', ['listeners'], 0]);
    listeners();
    expect([readiness.state(), readiness.waiting.size, live]).to.deep.equal(['LIVE', 0, 1]);
    readiness.wait('later')();
    expect([readiness.state(), live]).to.deep.equal(['LIVE', 1]);
  });

  it('is DRAINING while the health check fails, once it was started', () => {
    const readiness = createReadiness();
    const done = readiness.wait('clusters');
    readiness.failHealthCheck(true);
    expect(readiness.state()).to.equal('INITIALIZING');
    done();
    expect(readiness.state()).to.equal('DRAINING');
    readiness.failHealthCheck(false);
    expect(readiness.state()).to.equal('LIVE');
  });

  it('stays DRAINING once the server ends', () => {
    const readiness = createReadiness();
    const done = readiness.wait('clusters');
    let live = 0;
    readiness.onLive(() => live++);
    readiness.drain();
    done();
    readiness.failHealthCheck(false);
    expect([readiness.state(), live]).to.deep.equal(['DRAINING', 0]);
  });
});
