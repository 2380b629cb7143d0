import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { equalMeaning } from '../../../src/model/equal.js';
import type { Verdict } from '../../../src/model/verdict.js';
import { schema, summary, translators } from './translators.js';

const captures = new URL('../../../../test/fixtures/captures/', import.meta.url);

interface Captured {
  readonly file: string;
  readonly type: keyof typeof translators;
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface AnyMessage {
  readonly type_url: string;
  readonly value: Uint8Array;
}

const types: Readonly<Record<string, keyof typeof translators>> = {
  'envoy.config.cluster.v3.Cluster': 'cluster',
  'envoy.config.endpoint.v3.ClusterLoadAssignment': 'endpoint',
  'envoy.config.listener.v3.Listener': 'listener',
  'envoy.config.route.v3.RouteConfiguration': 'route',
};
const resourceType = 'envoy.service.discovery.v3.Resource';
const nameOfType = (any: AnyMessage): string => any.type_url.slice(any.type_url.indexOf('/') + 1);

/** The resources of one recorded response, taken out of what a server may wrap them in. */
function resourcesOf(file: string): Captured[] {
  const bytes = readFileSync(new URL(file, captures));
  const response =
    file.includes('-delta-') && /\/\d+-delta-/.test(file) ? 'DeltaDiscoveryResponse' : 'DiscoveryResponse';
  const { resources } = schema.decode<{ resources: (AnyMessage & { resource?: AnyMessage | null })[] }>(
    `envoy.service.discovery.v3.${response}`,
    bytes,
  );
  const found: Captured[] = [];
  for (const entry of resources) {
    let any: AnyMessage | null | undefined = response === 'DeltaDiscoveryResponse' ? entry.resource : entry;
    if (any && nameOfType(any) === resourceType)
      any = schema.decode<{ resource: AnyMessage | null }>(resourceType, any.value).resource;
    const type = any ? types[nameOfType(any)] : undefined;
    if (!any || type === undefined) continue;
    found.push({ file, type, name: translators[type].nameOf(any.value), bytes: any.value });
  }
  return found;
}

const files = readdirSync(captures, { recursive: true })
  .map((file) => String(file).replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.pb'))
  .sort();
const captured = files.flatMap(resourcesOf);
const judge = ({ type, bytes }: Captured): Verdict<unknown> => translators[type].translate(bytes, 'dynamic');

describe('xds/resources on what real control planes send', () => {
  it('reads every capture', () => {
    expect(captured.length).to.be.greaterThan(80);
  });

  it('rejects only the cluster that Envoy rejects too', () => {
    const rejected = captured.filter((resource) => judge(resource).kind === 'rejected');
    expect([...new Set(rejected.map(({ name }) => name))]).to.deep.equal(['bad']);
  });

  const expected: [source: string, type: Captured['type'], active: string[]][] = [
    [
      'istio',
      'cluster',
      ['outbound|80||legacy.example.com', 'outbound|80|v1|legacy.example.com', 'outbound|80|v2|legacy.example.com'],
    ],
    ['istio', 'listener', []],
    ['istio', 'route', ['80', '8081']],
    ['kuma', 'cluster', ['kri_msvc_default_zone-1__backend_80', 'kri_msvc_default_zone-1__rawtcp_81']],
    ['kuma', 'listener', ['kri_msvc_default_zone-1__backend_80', 'self_inbound_dp_http']],
    ['gcp', 'cluster', ['bridge']],
    ['gcp', 'listener', ['l']],
    ['gcp', 'route', ['r']],
    ['gcp', 'endpoint', ['a']],
  ];
  for (const [source, type, names] of expected)
    it(`${source}: runs these and no other ${type}s: ${names.join(', ')}`, () => {
      const mine = captured.filter((resource) => resource.file.startsWith(source) && resource.type === type);
      const active = mine.filter((resource) => judge(resource).kind === 'active');
      expect(new Set(active.map(({ name }) => name))).to.deep.equal(new Set(names));
    });

  it('warns of what it ignores', () => {
    const cluster = captured.find(
      ({ file, name }) => file.startsWith('istio') && name === 'outbound|80||legacy.example.com',
    );
    expect(summary(judge(cluster as Captured))).to.match(/^active \| outlier_detection: ignored/);
  });

  it('sees no change where Kuma sends the same in another order', () => {
    const versions = captured.filter(
      ({ file, name, type }) => type === 'cluster' && file.startsWith('kuma') && name.endsWith('backend_80'),
    );
    const models = versions.map((resource) => {
      const verdict = judge(resource);
      return verdict.kind === 'active' ? verdict.model : undefined;
    });
    const [first, second] = versions;
    expect(Buffer.compare(first?.bytes as Uint8Array, second?.bytes as Uint8Array)).to.not.equal(0);
    expect(equalMeaning(models[0], models[1])).to.equal(true);
    expect(models.some((model) => !equalMeaning(model, models[0]))).to.equal(true);
  });

  it('judges whatever comes', () => {
    const pick = fc.constantFrom(...captured);
    const changes = fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(pick, changes, fc.nat(4000), (resource, edits, cut) => {
        const bytes = Uint8Array.from(resource.bytes);
        for (const [position, value] of edits) bytes[position % bytes.length] = value;
        const verdict = translators[resource.type].translate(
          bytes.subarray(0, Math.max(1, bytes.length - (cut % 5))),
          'dynamic',
        );
        expect(verdict.kind).to.be.oneOf(['active', 'parked', 'rejected']);
        if (verdict.kind === 'rejected') expect(verdict.problems).to.not.be.empty;
      }),
      { numRuns: 400 },
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(...Object.values(translators)),
        (bytes, translator) => {
          expect(translator.translate(bytes, 'static')).to.have.property('kind');
        },
      ),
      { numRuns: 400 },
    );
  });
});
