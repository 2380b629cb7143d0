import { expect } from 'chai';
import { parseSettings } from '../../../plugins/dubbo/config.js';
import { FrameError, readId } from '../../../plugins/dubbo/frame.js';
import { multiplexing } from '../../../plugins/dubbo/multiplexing.js';
import type { FrameIds, Multiplexing } from '../../../src/bridge/api.js';
import { hello } from './messages.js';
import { heartbeatRequest, responseFrame } from './support.js';

describe('plugins/dubbo, how calls share connections', () => {
  const shared = multiplexing(parseSettings({ connections: { max_in_flight: 7 } })) as Multiplexing;
  const readOnly = responseFrame(Buffer.from([1, 0x52]), { flags: 0xa2, status: 0 });

  it('as many as configured, or not at all', () => {
    expect(shared.maxInFlight).to.equal(7);
    expect(multiplexing(parseSettings({ connections: { shared: false } }))).to.equal(undefined);
  });

  it('by the id of the frame', () => {
    const { readId: read, writeId: write } = shared.correlation as FrameIds;
    const frame = responseFrame(hello, { id: 5n });
    expect(read(frame.subarray(0, 15))).to.equal(undefined);
    expect(read(frame)).to.equal(5n);
    write(frame, 9_007_199_254_740_991);
    expect(readId(frame)).to.equal(9_007_199_254_740_991n);
  });

  it('knows frames by their first bytes', () => {
    const frame = responseFrame(hello);
    expect(shared.frameLength(frame.subarray(0, 15))).to.equal(undefined);
    expect(shared.frameLength(frame.subarray(0, 16))).to.equal(frame.length);
    expect(() => shared.frameLength(Buffer.from('HT'))).to.throw(FrameError);
  });

  it('answers heartbeats', () => {
    const heartbeat = heartbeatRequest(77n);
    expect(shared.isStrayFrame?.(heartbeat)).to.equal(true);
    expect(shared.onStrayFrame?.(heartbeat)).to.deep.equal({
      reply: responseFrame(Buffer.from('N'), { id: 77n, flags: 0x22, status: 20 }),
    });
    // The answer to one of ours is for nobody.
    expect(shared.onStrayFrame?.(responseFrame(Buffer.from('N'), { flags: 0x22 }))).to.equal(undefined);
  });

  it('leaves a connection whose provider is about to stop', () => {
    expect(shared.isStrayFrame?.(readOnly)).to.equal(true);
    expect(shared.onStrayFrame?.(readOnly)).to.deep.equal({ drain: true });
  });

  it('takes answers for answers, and requests for faults', () => {
    expect(shared.isStrayFrame?.(responseFrame(hello))).to.equal(false);
    expect(shared.isStrayFrame?.(responseFrame(hello).subarray(0, 5))).to.equal(undefined);
    expect(() => shared.isStrayFrame?.(responseFrame(hello, { flags: 0xc2 }))).to.throw(FrameError, 'sent a request');
  });
});
