import { expect } from 'chai';
import { parseSettings } from '../../../plugins/dubbo/config.js';

describe('plugins/dubbo plugin_config', () => {
  it('needs nothing', () => {
    for (const config of [undefined, {}]) {
      const settings = parseSettings(config);
      expect(settings.generic).to.equal('true');
      expect(settings.routes).to.deep.equal([]);
      expect(settings.allowsInterface('any.Interface')).to.equal(true);
      expect(settings.acceptsClass('any.Class')).to.equal(false);
    }
  });

  it('knows packages', () => {
    const { allowsInterface } = parseSettings({ allowed_interfaces: ['a.b.*', 'c.D'] });
    const allowed = ['a.b.C', 'a.b.c.D', 'c.D'].map(allowsInterface);
    const refused = ['a.bc.D', 'c.De', 'a.b'].map(allowsInterface);
    expect([...allowed, ...refused]).to.deep.equal([true, true, true, false, false, false]);
  });

  const route = (more: object): object => ({ routes: [{ path: '/a/{id}', ...more }] });
  const refused: [unknown, string][] = [
    [[], 'the configuration must be an object'],
    [{ interfaces: 'x' }, 'interfaces is unknown; known are interface, '],
    [{ interface: 'a-b' }, 'interface must be an interface\'s full name, not "a-b"'],
    [{ generic: 'gson' }, 'generic must be one of "true", "raw.return", "false", true, false, not "gson"'],
    [{ timeout_ms: 0 }, 'timeout_ms must be a whole number from 1 to 2147483647, not 0'],
    [{ routes: {} }, 'routes must be a list'],
    [{ routes: [{}] }, 'routes[0].path is missing'],
    [{ routes: ['x'] }, 'routes[0] must be an object, not "x"'],
    [{ routes: [{ path: 'a' }] }, 'routes[0].path must be a path such as /orders/{id}, not "a"'],
    [{ routes: [{ path: '/a{b}' }] }, 'routes[0].path: "a{b}" must be plain text or one {variable}'],
    [{ routes: [{ path: '/{a}/{a}' }] }, 'routes[0].path has the variable a twice'],
    [route({ http_method: 'get' }), 'routes[0].http_method must be a method such as GET, not "get"'],
    [route({ method: 'a.b' }), 'routes[0].method must be a method\'s name, not "a.b"'],
    [route({ one_way: 1 }), 'routes[0].one_way must be true or false, not 1'],
    [route({ returns: 'T' }), 'routes[0].returns: "T" is no known type: write the class with its package'],
    [route({ returns: 5 }), 'routes[0].returns must be a Java type, not 5'],
    [route({ attachments: { a: 1 } }), 'routes[0].attachments.a must be a text, not 1'],
    [route({ parameters: [{ type: 'int' }] }), 'routes[0].parameters[0].name is missing'],
    [route({ parameters: [{ name: 'id', type: 'List<' }] }), 'routes[0].parameters[0].type: "List<" is no Java type'],
    [route({ parameters: [{ name: 'x', from: 'path' }] }), 'routes[0].parameters[0].from: the path has no {x}'],
    [route({ parameters: [{ name: 'x', from: 'cookie' }] }), 'routes[0].parameters[0].from must be one of "path", '],
    [
      route({ parameters: [{ name: 'a b', from: 'header' }] }),
      "routes[0].parameters[0].header must be a header's name",
    ],
    [route({ parameters: [{ name: 'x' }] }), 'routes[0].parameters has none of the name id, which is in path'],
    [route({ parameters: [{ name: 'id' }, { name: 'id' }] }), 'routes[0].parameters[1].name: "id" is there twice'],
    [
      route({ parameters: [{ name: 'id' }, { name: 'x', from: 'body' }, { name: 'y' }] }),
      'routes[0].parameters: with one parameter that is the whole body, no other can come from it',
    ],
    [{ path_prefix: 'rpc' }, 'path_prefix must be a path such as /rpc, not "rpc"'],
    [{ allowed_interfaces: ['*'] }, "allowed_interfaces[0] must be a class's full name or a package"],
    [{ accept_classes: 'a.B' }, 'accept_classes must be a list'],
    [{ types: { B: { enum: [] } } }, 'types.B: "B" is no class\'s full name'],
    [{ types: { 'a.B': {} } }, 'types.a.B must have either fields or enum'],
    [{ types: { 'a.B': { enum: ['a b'] } } }, 'types.a.B.enum[0] must be the name of an enum constant'],
    [{ types: { 'a.B': { fields: { x: 'Foo' } } } }, 'types.a.B.fields.x: "Foo" is no known type'],
    [{ attachments: { fixed: { a: 1 } } }, 'attachments.fixed.a must be a text'],
    [{ attachments: { headers: { 'a b': 'x' } } }, 'attachments.headers.a b: "a b" is no header\'s name'],
    [{ attachments: { tag_header: 'a b' } }, "attachments.tag_header must be a header's name"],
    [{ attachments: { prefix: 'x' } }, 'attachments.prefix is unknown'],
    [{ errors: { exception_status: 99 } }, 'errors.exception_status must be a whole number from 200 to 599'],
    [{ errors: { exceptions: { 'a.B': '404' } } }, 'errors.exceptions.a.B must be an HTTP status'],
    [
      { errors: { statuses: { '20': 200 } } },
      'errors.statuses.20 is no status of Dubbo; known are 25 SERIALIZATION_ERROR',
    ],
    [{ json: { dates: 'unix' } }, 'json.dates must be one of "iso", "millis", not "unix"'],
    [{ limits: { max_depth: 5000 } }, 'limits.max_depth must be a whole number from 1 to 512, not 5000'],
    [{ limits: { max_response_frame: 1e9 } }, 'limits.max_response_frame must be a whole number from 1024 to 67108864'],
  ];
  for (const [config, message] of refused) {
    it(`refuses ${JSON.stringify(config)}`, () => expect(() => parseSettings(config)).to.throw(message));
  }

  it('takes names and numbers of statuses', () => {
    const { errors } = parseSettings({ errors: { statuses: { '100': 429, SERVER_TIMEOUT: 503 } } });
    expect([...errors.statuses]).to.deep.equal([
      [100, 429],
      [31, 503],
    ]);
  });
});
