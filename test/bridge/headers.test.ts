import { expect } from 'chai';
import fc from 'fast-check';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { RequestHeadersView, ResponseHeadersView } from '../../src/bridge/plugin-headers.js';

describe('header maps', () => {
  it('keep order and duplicates, whatever is done to them', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const change = fc.record({
      do: fc.constantFrom('add', 'set', 'delete' as const),
      name,
      value: fc.string({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const map = new HeaderMap();
        let model: [string, string][] = [];
        for (const { do: what, name: key, value } of changes) {
          if (what === 'add') {
            map.add(key, value);
            model.push([key, value]);
          } else if (what === 'delete') {
            map.delete(key);
            model = model.filter(([other]) => other !== key);
          } else {
            map.set(key, value);
            const at = model.findIndex(([other]) => other === key);
            model = model.filter(([other], i) => other !== key || i === at);
            if (at < 0) model.push([key, value]);
            else (model[at] as [string, string])[1] = value;
          }
        }
        const got: [string, string][] = [];
        map.forEach((key, value) => void got.push([key, value]));
        expect(got).to.deep.equal(model);
        expect(map.size).to.equal(model.length);
        for (const key of ['a', 'b', 'c', 'd']) {
          const values = model.filter(([other]) => other === key).map(([, value]) => value);
          expect(map.values(key)).to.deep.equal(values);
          expect(map.get(key)).to.equal(values[0]);
          expect(map.has(key)).to.equal(values.length > 0);
        }
      }),
    );
  });

  it('give plugins the request to read', () => {
    const pairs = [
      ':method',
      'GET',
      ':path',
      '/p',
      ':authority',
      'h:1',
      ':scheme',
      'http',
      'a',
      '1',
      'a',
      '2',
      '__proto__',
      'x',
    ];
    const headers = new RequestHeadersView(new HeaderMap(pairs));
    expect([headers.method, headers.path, headers.host, headers.scheme]).to.deep.equal(['GET', '/p', 'h:1', 'http']);
    expect(headers.get('A')).to.equal('1');
    expect(headers.values('A')).to.deep.equal(['1', '2']);
    expect(headers.get('b')).to.equal(undefined);
    expect(headers.get(undefined as never)).to.equal(undefined);
    expect(Object.entries(headers.getAllHeaders()).slice(4)).to.deep.equal([
      ['a', ['1', '2']],
      ['__proto__', ['x']],
    ]);
    const seen: string[] = [];
    headers.range((name) => {
      seen.push(name);
      return name !== ':path';
    });
    expect(seen).to.deep.equal([':method', ':path']);
    expect(headers).to.not.have.property('set');
  });

  it('give plugins the response to change, until it is sent', () => {
    const scope = { active: true };
    const map = new HeaderMap();
    const headers = new ResponseHeadersView(map, scope);
    expect(headers.status).to.equal(200);
    headers.status = 204;
    headers.set('X-A', ' 1\t');
    headers.add('x-a', '2');
    headers.add('x-b', '3');
    headers.del('X-B');
    expect(headers.get('X-a')).to.equal('1');
    expect(headers.values('x-A')).to.deep.equal(['1', '2']);
    headers.range((name, value) => {
      if (name === 'x-a') headers.add('seen', value);
      return undefined;
    });
    expect({ ...headers.getAllHeaders() }).to.deep.equal({ ':status': ['204'], 'x-a': ['1', '2'], seen: ['1', '2'] });
    headers.markSent();
    for (const use of [
      () => headers.get('a'),
      () => headers.values('a'),
      () => headers.range(() => true),
      () => headers.getAllHeaders(),
      () => headers.status,
      () => {
        headers.status = 200;
      },
      () => headers.set('a', 'b'),
      () => headers.add('a', 'b'),
      () => headers.del('a'),
    ]) {
      expect(use).to.throw('sent already');
    }
  });
});
