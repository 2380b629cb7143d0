import { expect } from 'chai';
import { grpcTarget } from '../../src/xds/channel.js';

describe('gRPC target', () => {
  for (const [address, target] of [
    ['127.0.0.1:18000', 'ipv4:127.0.0.1:18000'],
    ['[::1]:18000', 'ipv6:[::1]:18000'],
    ['xds.example:18000', 'dns:xds.example:18000'],
    ['unix:/run/xds.sock', 'unix:/run/xds.sock'],
  ] as const) {
    it(`of ${address}`, () => expect(grpcTarget(address)).to.equal(target));
  }
});
