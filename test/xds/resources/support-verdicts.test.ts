import { expect } from 'chai';
import type protobuf from 'protobufjs';
import { stringify } from 'yaml';
import { loadBootstrap } from '../../../src/bootstrap/load.js';
import { equalMeaning } from '../../../src/model/equal.js';
import { describeProblems, type Verdict } from '../../../src/model/verdict.js';
import { parseJson } from '../../../src/protobuf/json.js';
import { secretResource } from '../../../src/xds/resources/secret.js';
import { supportSections } from '../../../src/xds/resources/support/index.js';
import type { MessageSupport } from '../../../src/xds/resources/support/rules.js';
import type { ResourceTranslator } from '../../../src/xds/resources/translate.js';
import { ruledValues, valuesFor } from './field-values.js';
import { type RichResource, richResources } from './rich-resources.js';
import { schema, translators } from './translators.js';

type Json = { [name: string]: unknown };

const messages = supportSections.flatMap((section) => section.messages);
const judges: readonly ResourceTranslator<unknown>[] = [...Object.values(translators), secretResource(schema)];

function judge(type: string, json: object): Verdict<unknown> {
  if (type.endsWith('.Bootstrap')) {
    const loaded = loadBootstrap({ schema, yamlText: stringify(json, { aliasDuplicateObjects: false }) });
    if (!loaded.ok) return { kind: 'rejected', problems: loaded.problems };
    const { warnings, bytes: _, ...model } = loaded.bootstrap;
    return { kind: 'active', model, warnings };
  }
  const translator = judges.find(({ typeUrl }) => typeUrl.endsWith(`/${type}`));
  if (translator === undefined) throw new Error(type);
  const parsed = parseJson(schema, type, json);
  if (!parsed.ok) throw new Error(describeProblems(parsed.problems));
  return translator.translate(parsed.bytes, 'dynamic');
}

/** Where a message stands in a rich resource. */
interface Place {
  readonly resource: RichResource;
  readonly type: protobuf.Type;
  /** The members that lead there. */
  readonly keys: readonly (string | number)[];
  /** As problems name it. */
  readonly path: string;
}

function* placesIn(resource: RichResource, type: protobuf.Type, json: unknown, place: Place): Generator<Place> {
  yield place;
  for (const field of type.fieldsArray) {
    const value = (json as Json)[field.name];
    const inner = field.resolve().resolvedType;
    if (value === undefined || inner === null || !('fieldsArray' in inner)) continue;
    // Clusters in a bootstrap are judged as those that come otherwise; the one here is a control plane's.
    if (type.name === 'StaticResources') continue;
    const items: [(string | number)[], string, unknown][] = Array.isArray(value)
      ? value.map((item, index) => [[field.name, index], `${field.name}[${index}]`, item])
      : field.map
        ? Object.entries(value as Json).map(([key, item]) => [[field.name, key], `${field.name}["${key}"]`, item])
        : [[[field.name], field.name, value]];
    for (const [keys, path, item] of items) {
      const named = (item as Json)['@type'];
      const itemType = typeof named === 'string' ? schema.find(named.slice(named.indexOf('/') + 1)) : inner;
      if (itemType === undefined || itemType.fullName.startsWith('.google.protobuf.')) continue;
      const at = place.path === '' ? path : `${place.path}.${path}`;
      yield* placesIn(resource, itemType, item, {
        resource,
        type: itemType,
        keys: [...place.keys, ...keys],
        path: at,
      });
    }
  }
}

const places = richResources.flatMap((resource) => {
  const type = schema.type(resource.type);
  return [...placesIn(resource, type, resource.json, { resource, type, keys: [], path: '' })];
});

/** The meaning of some messages depends on where they stand. */
function standsThere({ message, where = '' }: MessageSupport, place: Place): boolean {
  if (place.type.fullName !== `.${message}`) return false;
  if (message === 'envoy.config.core.v3.HttpProtocolOptions')
    return where.includes('manager') === place.path.includes('filters');
  return true;
}

function messageAt({ resource, keys }: Place): Json {
  let message = resource.json as Json;
  for (const key of keys) message = message[key] as Json;
  return message;
}

/** What matters of these is inside of them, or only together with something that would park the listener. */
const withoutEffect = [
  'HttpFilter.is_optional',
  'HttpConnectionManager.request_id_extension',
  'Bootstrap.layered_runtime',
];

/** Of messages that have nothing that is implemented only the rules matter, which are looked at where they stand. */
function hasEffect(message: string, field: string): boolean {
  if (withoutEffect.some((name) => `${message}.${field}`.endsWith(`.${name}`))) return false;
  const inner = schema.type(message).fields[field]?.resolve().resolvedType?.fullName.slice(1);
  const inside = messages.filter((support) => support.message === inner);
  return inside.length === 0 || inside.some(({ implemented }) => implemented.length > 0);
}

/** The resource with one field set to a value, and the other members of its oneof left out. */
function withField(place: Place, name: string, value: unknown): object {
  const copy = structuredClone(place.resource.json) as Json;
  let message = copy;
  for (const key of place.keys) message = message[key] as Json;
  for (const other of place.type.fields[name]?.partOf?.oneof ?? []) delete message[other];
  message[name] = value;
  return copy;
}

function told(verdict: Verdict<unknown>): { readonly kind: string; readonly paths: string } {
  if (verdict.kind === 'parked') return { kind: 'parked', paths: verdict.reason };
  const problems = verdict.kind === 'rejected' ? verdict.problems : verdict.warnings;
  return {
    kind: verdict.kind === 'active' && problems.length > 0 ? 'warned' : verdict.kind,
    paths: describeProblems(problems),
  };
}

/** What is rejected parks a listener that can't be bound or encrypted because of it, and leaves hosts out where it is of a kind of hosts. */
function rejectedMeans({ resource, path }: Place): string {
  if (path.startsWith('transport_socket_matches')) return 'warned';
  const parks = /^(address|additional_addresses|filter_chains\[0\]\.transport_socket)/.test(path);
  return parks && resource.type.endsWith('.Listener') ? 'parked' : 'rejected';
}

/** One place of each kind: those of the same kind are read by the same code. */
function oneOfEach(all: readonly Place[]): readonly Place[] {
  return [...new Map(all.map((place) => [`${place.resource.type} ${rejectedMeans(place)}`, place])).values()];
}

describe('xds/resources verdicts are those of the table', () => {
  for (const resource of richResources)
    it(`${resource.title} is active as it is`, () => {
      expect(told(judge(resource.type, resource.json))).to.deep.equal({ kind: 'active', paths: '' });
    });

  for (const support of messages) {
    const title = `${support.message.slice(support.message.search(/[A-Z]/))}${support.where ? ` (${support.where})` : ''}`;
    const everywhere = places.filter((place) => standsThere(support, place));
    const mine = oneOfEach(everywhere);

    it(`${title} stands in one of them`, () => {
      expect(mine.length).to.be.greaterThan(0);
    });

    for (const field of support.implemented.filter((name) => hasEffect(support.message, name)))
      it(`${title}.${field} is read`, () => {
        const changes = (place: Place) => {
          const values = [messageAt(place)[field], ...valuesFor(schema, support.message, field)];
          const unset = judge(place.resource.type, withField(place, field, undefined));
          return values.some(
            (value) =>
              value !== undefined && !equalMeaning(unset, judge(place.resource.type, withField(place, field, value))),
          );
        };
        expect(everywhere.some(changes), 'it changes nothing anywhere').to.equal(true);
      });

    for (const rule of support.rules)
      it(`${title}.${rule.field}${rule.values ? ` = ${rule.values.join(', ')}` : ''}: ${rule.treatment}`, () => {
        for (const place of mine)
          for (const value of ruledValues(schema, support.message, rule)) {
            const verdict = told(judge(place.resource.type, withField(place, rule.field, value)));
            const at = place.path === '' ? rule.field : `${place.path}.${rule.field}`;
            const expected = rule.treatment === 'rejected' ? rejectedMeans(place) : rule.treatment;
            expect(verdict.kind, `${place.resource.title} ${at}: ${verdict.paths}`).to.equal(expected);
            if (rule.treatment !== 'active') expect(verdict.paths).to.contain(at);
          }
      });
  }
});
