import { expect } from 'chai';
import type { TransportSocketMatch } from '../../src/model/cluster.js';
import type { LbEndpoint, LoadAssignment } from '../../src/model/endpoint.js';
import { reachableEndpoints } from '../../src/model/transport-socket.js';

const endpoint = (path: string, transportSocketMatch?: Record<string, unknown>): LbEndpoint => ({
  address: { kind: 'pipe', path },
  hostname: '',
  weight: 1,
  healthStatus: 'HEALTHY',
  ...(transportSocketMatch === undefined ? {} : { transportSocketMatch }),
});
const assignment: LoadAssignment = {
  clusterName: 'c',
  overprovisioningFactor: 140,
  localities: [
    {
      locality: { region: '', zone: '', subZone: '' },
      priority: 0,
      weight: undefined,
      endpoints: [endpoint('/bare'), endpoint('/mesh', { tlsMode: 'istio' }), endpoint('/other', { tlsMode: 'off' })],
    },
  ],
};
const mesh: TransportSocketMatch = { name: 'mesh', match: { tlsMode: 'istio' }, plainText: false };
const plain: TransportSocketMatch = { name: 'plain', match: {}, plainText: true };
const encrypted: TransportSocketMatch = { name: 'encrypted', match: {}, plainText: false };

describe('model reachableEndpoints', () => {
  const cases: [title: string, matches: TransportSocketMatch[] | undefined, paths: string[]][] = [
    ['no matches', undefined, ['/bare', '/mesh', '/other']],
    ['a match for TLS', [mesh], ['/bare', '/other']],
    ['then plain text for the rest', [mesh, plain], ['/bare', '/other']],
    ['the first that fits decides', [plain, mesh], ['/bare', '/mesh', '/other']],
    ['TLS for the rest', [mesh, encrypted], []],
  ];
  for (const [title, transportSocketMatches, paths] of cases)
    it(title, () => {
      const { localities } = reachableEndpoints(transportSocketMatches ? { transportSocketMatches } : {}, assignment);
      const found = localities.flatMap(({ endpoints }) =>
        endpoints.map(({ address }) => (address as { path: string }).path),
      );
      expect(found).to.deep.equal(paths);
    });
});
