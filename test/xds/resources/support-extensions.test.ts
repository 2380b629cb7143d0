import { expect } from 'chai';
import { supportCategories, supportSections } from '../../../src/xds/resources/support/index.js';
import type { ExtensionSupport } from '../../../src/xds/resources/support/rules.js';
import { requireEnvoy, startEnvoy } from '../../support/envoy.js';
import { schema } from './translators.js';

const messages = supportSections.flatMap((section) => section.messages);
const extensions = supportSections.flatMap((section) => section.extensions);

/** An entry of `node.extensions`, which is what Envoy tells control planes. */
interface LinkedExtension {
  readonly name: string;
  readonly category: string;
  readonly type_urls?: readonly string[];
}

/** Whether a table has a line for it: by its type, or by its name where it has none. */
function inTable({ implemented, rules, names = [] }: ExtensionSupport, { name, type_urls = [] }: LinkedExtension) {
  const listed = new Set([...implemented, ...rules.flatMap(({ types }) => types)]);
  return names.includes(name) || type_urls.some((type) => listed.has(type));
}

function hasLine(extension: LinkedExtension): boolean {
  const { category, name } = extension;
  return (
    extensions.some((support) => support.categories.includes(category) && inTable(support, extension)) ||
    supportCategories.some((support) => support.category === category && support.names.includes(name))
  );
}

describe('xds/resources support of extensions', () => {
  it('has a line for every extension of Envoy 1.40', async function () {
    const binary = await requireEnvoy(this);
    const envoy = await startEnvoy({ binary, bootstrapYaml: 'node: {id: a, cluster: b}' });
    try {
      const { node } = JSON.parse(await envoy.admin('/server_info')) as { node: { extensions: LinkedExtension[] } };
      expect(node.extensions.length).to.be.greaterThan(500);
      const missing = node.extensions.filter((extension) => !hasLine(extension));
      expect(missing.map(({ category, name }) => `${category}: ${name}`)).to.deep.equal([]);
    } finally {
      await envoy.stop();
    }
  });

  it('has one line per type', () => {
    for (const { point, implemented, rules } of extensions) {
      const types = [...implemented, ...rules.flatMap((rule) => rule.types)];
      expect(new Set(types).size, point).to.equal(types.length);
    }
  });

  it('says of every field of what it implements what that leads to', () => {
    const described = new Set(messages.map(({ message }) => message));
    for (const { implemented } of extensions)
      for (const type of implemented)
        if ((schema.find(type)?.fieldsArray.length ?? 0) > 0) expect([...described]).to.include(type);
  });
});

describe('xds/resources support of messages', () => {
  /** Messages that are written in ways of their own, and what is inside of them is told of elsewhere. */
  const leaf = /^\.google\.protobuf\./;

  it('goes as deep as messages are read', () => {
    const described = new Set(messages.map(({ message }) => message));
    const missing = new Set<string>();
    for (const { message, implemented } of messages)
      for (const field of schema.type(message).fieldsArray) {
        const inner = field.resolve().resolvedType;
        if (!implemented.includes(field.name) || inner === null || !('fieldsArray' in inner)) continue;
        if (leaf.test(inner.fullName) || inner.fieldsArray.length === 0) continue;
        if (!described.has(inner.fullName.slice(1)))
          missing.add(`${message}.${field.name}: ${inner.fullName.slice(1)}`);
      }
    expect([...missing]).to.deep.equal([]);
  });

  it('begins with all that control planes and files bring', () => {
    const described = new Set(messages.map(({ message }) => message));
    for (const root of [
      'envoy.config.bootstrap.v3.Bootstrap',
      'envoy.config.cluster.v3.Cluster',
      'envoy.config.endpoint.v3.ClusterLoadAssignment',
      'envoy.config.listener.v3.Listener',
      'envoy.config.route.v3.RouteConfiguration',
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'envoy.extensions.transport_sockets.tls.v3.Secret',
    ])
      expect([...described]).to.include(root);
  });
});
