import { expect } from 'chai';
import fc from 'fast-check';
import { createStatsStore } from '../../src/stats/create-store.js';
import { createHistogram } from '../../src/stats/histogram.js';
import { formatPrometheus, prometheusName } from '../../src/stats/prometheus.js';

describe('stats store', () => {
  it('gives the same statistic for the same name, scoped or not', () => {
    const stats = createStatsStore();
    const scope = stats.scope('cluster.a');
    scope.counter('upstream_rq_total').value++;
    stats.counter('cluster.a.upstream_rq_total').value++;
    expect(stats.counters.get('cluster.a.upstream_rq_total')?.value).to.equal(2);
    expect(scope.scope('external').gauge('x').name).to.equal('cluster.a.external.x');
  });

  it('forgets a scope when its last user removes it, and nothing beside it', () => {
    const stats = createStatsStore();
    const first = stats.scope('cluster.a');
    const second = stats.scope('cluster.a');
    first.counter('n').value = 5;
    stats.counter('cluster.ab.n').value = 7;
    first.remove();
    first.remove();
    expect(stats.counters.get('cluster.a.n')?.value, 'still in use').to.equal(5);
    second.remove();
    expect(stats.counters.has('cluster.a.n')).to.equal(false);
    expect(stats.counters.get('cluster.ab.n')?.value).to.equal(7);
  });
});

describe('histogram', () => {
  it('knows every quantile to a sixteenth of itself', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 1e9, noNaN: true }), {
          minLength: 1,
          maxLength: 200,
        }),
        (values) => {
          const histogram = createHistogram('h');
          for (const value of values) histogram.record(value);
          const ordered = [...values].sort((a, b) => a - b);
          for (const percent of [25, 50, 90, 99, 100]) {
            const exact = ordered[Math.max(1, Math.ceil((percent / 100) * values.length)) - 1] as number;
            const told = histogram.total.quantile(percent);
            expect(told).to.be.within(exact * 0.999, exact * (1 + 1 / 8) + 1 / 16);
          }
          expect(histogram.total.count).to.equal(values.length);
        },
      ),
    );
  });

  it('shows the interval that ended with the last flush', () => {
    const histogram = createHistogram('h');
    histogram.record(10);
    expect(histogram.interval.count).to.equal(0);
    histogram.flush();
    expect(histogram.interval.count).to.equal(1);
    histogram.flush();
    expect(histogram.interval.count).to.equal(0);
    expect(histogram.total.count).to.equal(1);
  });

  it('takes any number without failing', () => {
    const histogram = createHistogram('h');
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) histogram.record(value);
    expect(histogram.total.count).to.equal(5);
  });
});

describe('prometheus', () => {
  for (const [stat, name, labels] of [
    ['cluster.a.upstream_rq_total', 'envoy_cluster_upstream_rq_total', { envoy_cluster_name: 'a' }],
    [
      'cluster.a.b|80.upstream_rq_503',
      'envoy_cluster_upstream_rq',
      { envoy_cluster_name: 'a.b|80', envoy_response_code: '503' },
    ],
    [
      'cluster.a.upstream_rq_5xx',
      'envoy_cluster_upstream_rq_xx',
      { envoy_cluster_name: 'a', envoy_response_code_class: '5' },
    ],
    [
      'cluster.a.circuit_breakers.default.cx_open',
      'envoy_cluster_circuit_breakers_default_cx_open',
      { envoy_cluster_name: 'a' },
    ],
    [
      'http.in.downstream_rq_2xx',
      'envoy_http_downstream_rq_xx',
      { envoy_http_conn_manager_prefix: 'in', envoy_response_code_class: '2' },
    ],
    [
      'listener.0.0.0.0_80.downstream_cx_total',
      'envoy_listener_downstream_cx_total',
      { envoy_listener_address: '0.0.0.0_80' },
    ],
    ['server.live', 'envoy_server_live', {}],
  ] as const) {
    it(`names ${stat} as Envoy's tag extraction does`, () => {
      const told = prometheusName(stat);
      expect(told.name).to.equal(name);
      expect(Object.fromEntries(told.labels)).to.deep.equal(labels);
    });
  }

  it('writes families with their type, cumulative buckets and escaped labels', () => {
    const stats = createStatsStore();
    stats.counter('cluster.a"b.upstream_rq_total').value = 3;
    stats.histogram('cluster.a.upstream_rq_time').record(7);
    const lines = [...formatPrometheus(stats, () => true)].join('').split('\n');
    expect(lines).to.include('# TYPE envoy_cluster_upstream_rq_total counter');
    expect(lines).to.include('envoy_cluster_upstream_rq_total{envoy_cluster_name="a\\"b"} 3');
    expect(lines).to.include('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="5"} 0');
    expect(lines).to.include('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="10"} 1');
    expect(lines).to.include('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="+Inf"} 1');
    expect(lines).to.include('envoy_cluster_upstream_rq_time_count{envoy_cluster_name="a"} 1');
  });
});
