import { expect } from 'chai';
import { active, endpoint, summary, translators } from './translators.js';

const withEndpoint = (lb: string): string => `cluster_name: c\nendpoints: [{ lb_endpoints: [${lb}] }]`;
const tcp = (address: string, more = ''): string =>
  `endpoint: { address: { socket_address: { address: "${address}", port_value: 80 ${more} } } }`;

describe('xds/resources endpoint', () => {
  it('reads localities, priorities, weights and health', () => {
    const model = active(
      endpoint(`
cluster_name: c
policy: { overprovisioning_factor: 100 }
endpoints:
- locality: { region: r, zone: z, sub_zone: s }
  priority: 1
  load_balancing_weight: 3
  lb_endpoints:
  - { endpoint: { hostname: h, address: { socket_address: { address: "2001:db8::1", port_value: 80 } } }, load_balancing_weight: 9, health_status: DRAINING }
  - { endpoint: { address: { pipe: { path: /run/a.sock } } }, metadata: { filter_metadata: { envoy.transport_socket_match: { tls: true } } } }
- {}
`),
    );
    expect(model).to.deep.equal({
      clusterName: 'c',
      overprovisioningFactor: 100,
      localities: [
        {
          locality: { region: 'r', zone: 'z', subZone: 's' },
          priority: 1,
          weight: 3,
          endpoints: [
            {
              address: { kind: 'tcp', address: '2001:db8::1', port: 80 },
              hostname: 'h',
              weight: 9,
              healthStatus: 'DRAINING',
            },
            {
              address: { kind: 'pipe', path: '/run/a.sock' },
              hostname: '',
              weight: 1,
              healthStatus: 'UNKNOWN',
              transportSocketMatch: { tls: true },
            },
          ],
        },
        { locality: { region: '', zone: '', subZone: '' }, priority: 0, weight: undefined, endpoints: [] },
      ],
    });
  });

  it('is named by its cluster_name', () => {
    expect(translators.endpoint.nameOf(Buffer.from([0x0a, 1, 0x63]))).to.equal('c');
  });

  const cases: [title: string, yaml: string, expected: RegExp][] = [
    ['nothing but a name', 'cluster_name: c', /^active$/],
    ['no name', 'endpoints: []', /^rejected \| cluster_name: /],
    [
      'a DNS name',
      withEndpoint(`{ ${tcp('db.example.com')} }`),
      /^rejected \| endpoints\[0\].lb_endpoints\[0\].endpoint.address.socket_address.address: malformed IP address: db.example.com/,
    ],
    [
      'no address',
      withEndpoint('{ endpoint: {} }'),
      /^rejected \| endpoints\[0\].lb_endpoints\[0\].endpoint.address: is required/,
    ],
    ['no endpoint', withEndpoint('{}'), /^rejected \| endpoints\[0\].lb_endpoints\[0\].endpoint.address: is required/],
    [
      'UDP',
      withEndpoint(`{ ${tcp('10.0.0.1', ', protocol: UDP')} }`),
      /^rejected \| .*socket_address.protocol: not supported: only TCP/,
    ],
    [
      'a named port',
      withEndpoint('{ endpoint: { address: { socket_address: { address: 10.0.0.1, named_port: http } } } }'),
      /^rejected \| .*named_port: not supported: use port_value/,
    ],
    [
      'a port out of range',
      withEndpoint('{ endpoint: { address: { socket_address: { address: 10.0.0.1, port_value: 65536 } } } }'),
      /^rejected \| .*port_value: /,
    ],
    [
      'an internal address',
      withEndpoint('{ endpoint: { address: { envoy_internal_address: { server_listener_name: l } } } }'),
      /^rejected \| .*envoy_internal_address: not supported/,
    ],
    [
      'a weight of 0',
      withEndpoint(`{ ${tcp('10.0.0.1')}, load_balancing_weight: 0 }`),
      /^rejected \| endpoints\[0\].lb_endpoints\[0\].load_balancing_weight: /,
    ],
    [
      'a priority over 128',
      'cluster_name: c\nendpoints: [{ priority: 129 }]',
      /^rejected \| endpoints\[0\].priority: /,
    ],
    [
      'overload drops',
      'cluster_name: c\npolicy: { drop_overloads: [{ category: a }] }',
      /^active \| policy.drop_overloads: ignored/,
    ],
    [
      'two categories of them',
      'cluster_name: c\npolicy: { drop_overloads: [{ category: a }, { category: b }] }',
      /^rejected \| policy.drop_overloads: only one/,
    ],
    [
      'LEDS',
      'cluster_name: c\nendpoints: [{ leds_cluster_locality_config: { leds_collection_name: x } }]',
      /^rejected \| endpoints\[0\].leds_cluster_locality_config: not supported/,
    ],
    ['named endpoints', 'cluster_name: c\nnamed_endpoints: { a: {} }', /^rejected \| named_endpoints: not supported/],
  ];
  for (const [title, yaml, expected] of cases)
    it(title, () => {
      expect(summary(endpoint(yaml))).to.match(expected);
    });
});
