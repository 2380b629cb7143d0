import { expect } from 'chai';
import { formatProblem, parseObject, parseText } from '../../control-plane-sample/parse.js';
import { kinds } from '../../control-plane-sample/resource-kind.js';
import { loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const parse = (text: string, kind: (typeof kinds)[keyof typeof kinds] | undefined = kinds.cluster) => {
  const { resources, problems } = parseText(schema, text, 'f.yaml', kind);
  return { names: resources.map((each) => `${each.kind.group}/${each.name}`), problems: problems.map(formatProblem) };
};
const clusterUrl = kinds.cluster.typeUrl;

describe('control-plane-sample: parsing resources', () => {
  const good: { name: string; text: string; names: string[]; kind?: undefined }[] = [
    { name: 'one resource', text: 'name: a', names: ['clusters/a'] },
    { name: 'a list', text: '- name: a\n- {name: b}', names: ['clusters/a', 'clusters/b'] },
    { name: 'several documents', text: 'name: a\n---\n- name: b', names: ['clusters/a', 'clusters/b'] },
    { name: 'JSON', text: '{"name": "a", "connectTimeout": "1s"}', names: ['clusters/a'] },
    { name: 'its own @type', text: `"@type": ${kinds.route.typeUrl}\nname: r`, names: ['routes/r'] },
    {
      name: 'groups',
      text: 'clusters: [{name: a}]\nendpoints: [{cluster_name: a}]\nroutes: []',
      names: ['clusters/a', 'endpoints/a'],
    },
    { name: "Envoy's own file form", text: `resources:\n- "@type": ${clusterUrl}\n  name: a`, names: ['clusters/a'] },
    {
      name: 'camelCase and enums in any case',
      text: 'name: a\ntype: strict_dns\nlbPolicy: round_robin',
      names: ['clusters/a'],
    },
    {
      name: 'anchors',
      text: 'clusters:\n- &a {name: a}\n- {<<: *a, name: b}'.replace('<<: *a, ', ''),
      names: ['clusters/a', 'clusters/b'],
    },
  ];
  for (const { name, text, names } of good) {
    it(`takes ${name}`, () => expect(parse(text)).to.deep.equal({ names, problems: [] }));
  }

  const bad: { name: string; text: string; problems: (string | RegExp)[]; names?: string[] }[] = [
    {
      name: 'an unknown field, with file, line, column, resource and path',
      text: 'name: a\nload_assignment:\n  cluster_name: a\n  endpoints:\n  - lb_endpoint: []\n',
      problems: [
        /^f\.yaml:5:18: clusters "a": load_assignment\.endpoints\[0\]\.lb_endpoint: unknown field .*lb_endpoints/,
      ],
    },
    {
      name: 'every problem of every resource, and keeps the good ones apart',
      text: '- name: a\n  type: NOPE\n- name: good\n- name: b\n  connect_timeout: soon\n  nope: 1\n',
      names: ['clusters/good'],
      problems: [
        /^f\.yaml:2:9: clusters "a": type: unknown value "NOPE"/,
        /^f\.yaml:5:20: clusters "b": connect_timeout: invalid duration/,
        /^f\.yaml:6:9: clusters "b": nope: unknown field/,
      ],
    },
    {
      name: 'a camelCase field, in its place',
      text: 'name: a\nconnectTimeout: soon',
      problems: [/^f\.yaml:2:17: clusters "a": connect_timeout: /],
    },
    { name: 'YAML that is none', text: 'name: a\nbad: [', problems: [/^f\.yaml:2:7: /] },
    {
      name: 'a name that is missing',
      text: 'type: STATIC',
      problems: [/^f\.yaml:1:1: clusters "\?": name: a name is required/],
    },
    {
      name: 'the name of the wildcard',
      text: 'name: "*"',
      problems: [/^f\.yaml:1:7: clusters "\*": name: a name is required/],
    },
    {
      name: 'what is no resource',
      text: '- 1\n- [a]',
      problems: [/^f\.yaml:1:3: a resource is expected/, /^f\.yaml:2:3: a resource is expected/],
    },
    {
      name: 'a type that is not served',
      text: '"@type": type.googleapis.com/x.Y',
      problems: [/^f\.yaml:1:10: @type: "type\.googleapis\.com\/x\.Y" is not served here/],
    },
    {
      name: 'an empty file, which may be half written',
      text: '# soon\n',
      problems: [/^f\.yaml:1:1: the file is empty/],
    },
    {
      name: 'an unknown type in an Any',
      text: 'name: a\nmetadata:\n  typed_filter_metadata:\n    k: {"@type": type.googleapis.com/no.Such}',
      problems: [/^f\.yaml:4:\d+: clusters "a": metadata\.typed_filter_metadata\["k"\].*no\.Such/],
    },
  ];
  for (const { name, text, problems, names = [] } of bad) {
    it(`refuses ${name}`, () => {
      const result = parse(text);
      expect(result.names).to.deep.equal(names);
      expect(result.problems, result.problems.join('\n')).to.have.length(problems.length);
      for (const [index, expected] of problems.entries()) expect(result.problems[index]).to.match(new RegExp(expected));
    });
  }

  it('asks for the type where nothing tells it', () => {
    expect(parseText(schema, 'name: a', 'f.yaml', undefined).problems.map(formatProblem)[0]).to.match(
      /^f\.yaml:1:1: what type of resource is this\?/,
    );
  });

  it('refuses YAML that grows', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) =>
        `  l${level}: &l${level} [${Array(10)
          .fill(level === 0 ? 'x' : `*l${level - 1}`)
          .join(', ')}]`,
    );
    const { problems, names } = parse(`name: a\nx:\n${levels.join('\n')}`);
    expect(names).to.deep.equal([]);
    expect(problems.join()).to.match(/alias/i);
  });

  it('takes plain objects', () => {
    const { resources, problems } = parseObject(schema, { clusters: [{ name: 'a' }], routes: [{ nome: 'r' }] }, 'here');
    expect(resources.map(({ name }) => name)).to.deep.equal(['a']);
    expect(problems.map(formatProblem)[0]).to.match(/^here: routes "\?": nome: unknown field/);
  });

  describe('references', () => {
    const references = (text: string, kind: typeof kinds.cluster) =>
      parseText(schema, text, 'f.yaml', kind).resources.flatMap((each) =>
        each.references.map((reference) => `${reference.kind.group}/${reference.name} (${reference.field})`),
      );
    const eds = 'name: a\ntype: EDS\neds_cluster_config:\n  eds_config:';
    it('are the endpoints of an EDS cluster', () => {
      expect(references(`${eds} {ads: {}}`, kinds.cluster)).to.deep.equal(['endpoints/a (name)']);
      expect(references(`${eds} {ads: {}}\n  service_name: s`, kinds.cluster)).to.deep.equal([
        'endpoints/s (eds_cluster_config.service_name)',
      ]);
      expect(references(`${eds} {path_config_source: {path: /eds.yaml}}`, kinds.cluster)).to.deep.equal([]);
      expect(references('name: a\ntype: STATIC', kinds.cluster)).to.deep.equal([]);
    });

    it('are the routes of a listener, wherever they are named', () => {
      const filter = (name: string) =>
        `{filters: [{name: hcm, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: x, rds: {route_config_name: ${name}, config_source: {ads: {}}}}}]}`;
      const text = `name: l\nfilter_chains:\n- ${filter('one')}\ndefault_filter_chain: ${filter('two')}`;
      expect(references(text, kinds.listener)).to.deep.equal([
        'routes/one (filter_chains[0].filters[0].typed_config.rds.route_config_name)',
        'routes/two (default_filter_chain.filters[0].typed_config.rds.route_config_name)',
      ]);
    });
  });
});
