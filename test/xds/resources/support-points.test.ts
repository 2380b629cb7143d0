import { expect } from 'chai';
import { parseJson } from '../../../src/protobuf/json.js';
import { supportSections } from '../../../src/xds/resources/support/index.js';
import type { ResourceTranslator } from '../../../src/xds/resources/translate.js';
import { richResources } from './rich-resources.js';
import { schema, summary, translators } from './translators.js';

type Json = { [name: string]: unknown };

const extensions = supportSections.flatMap((section) => section.extensions);
const rich = (title: string) => structuredClone(richResources.find((each) => each.title === title)?.json) as Json;

/** An extension of any type, also of those that the schema does not know. */
const anyOf = (type: string) => ({
  name: 'x',
  typed_config: { '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', type_url: `type.googleapis.com/${type}` },
});
interface Subject {
  readonly translator: ResourceTranslator<unknown>;
  readonly json: Json;
}
const cluster = (more: object): Subject => ({
  translator: translators.cluster,
  json: { ...rich('EDS cluster'), ...more },
});
const listener = (change: (chain: Json, manager: Json) => void, more: object = {}): Subject => {
  const json = rich('listener');
  const [chain] = json.filter_chains as [Json];
  const [filter] = chain.filters as [{ typed_config: Json }];
  change(chain, filter.typed_config);
  return { translator: translators.listener, json: { ...json, ...more } };
};
const prepend = (message: Json, field: string, item: object) => {
  message[field] = [item, ...(message[field] as object[])];
};

/** A category of extensions → a resource with one of them. */
const points: Readonly<Record<string, (extension: ReturnType<typeof anyOf>) => Subject>> = {
  'envoy.clusters': (extension) => cluster({ type: undefined, eds_cluster_config: undefined, cluster_type: extension }),
  'envoy.upstreams': (extension) => cluster({ upstream_config: extension }),
  'envoy.upstream_options': ({ typed_config }) => cluster({ typed_extension_protocol_options: { x: typed_config } }),
  'envoy.transport_sockets.upstream': (extension) => cluster({ transport_socket: extension }),
  'envoy.filters.upstream_network': (extension) => cluster({ filters: [extension] }),
  'envoy.filters.listener': (extension) => listener(() => undefined, { listener_filters: [extension] }),
  'envoy.filters.network': (extension) => listener((chain) => prepend(chain, 'filters', extension)),
  'envoy.filters.http': (extension) => listener((_, manager) => prepend(manager, 'http_filters', extension)),
  'envoy.access_loggers': (extension) => listener((_, manager) => prepend(manager, 'access_log', extension)),
  'envoy.transport_sockets.downstream': (extension) =>
    listener((chain) => {
      chain.transport_socket = extension;
    }),
  'envoy.request_id': ({ typed_config }) =>
    listener((_, manager) => {
      manager.request_id_extension = { typed_config };
    }),
};

describe('xds/resources verdicts on extensions are those of the table', () => {
  for (const { point, categories, rules, others } of extensions) {
    const place = points[categories[0] ?? ''];
    if (place === undefined) continue;
    const cases = [...rules.flatMap((rule) => rule.types.map((type) => [type, rule.treatment] as const))];
    // A transport socket that Envoy's API does not know is malformed in a cluster, whatever it is.
    const unknown = categories[0] === 'envoy.transport_sockets.upstream' ? 'rejected' : others.treatment;
    for (const [type, treatment] of [...cases, ['my.mesh.Extension', unknown] as const])
      it(`${point.split('.')[0]}: ${type} is ${treatment}`, () => {
        const { translator, json } = place(anyOf(type));
        const parsed = parseJson(schema, translator.typeUrl.slice(translator.typeUrl.indexOf('/') + 1), json);
        if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
        const verdict = summary(translator.translate(parsed.bytes, 'dynamic'));
        const expected = { active: /^active$/, warned: /^active \| /, parked: /^parked /, rejected: /^rejected / };
        expect(verdict).to.match(expected[treatment]);
      });
  }
});
