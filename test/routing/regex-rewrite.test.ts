import { expect } from 'chai';
import { compileRegexRewrite } from '../../src/routing/regex-rewrite.js';

describe('regex rewrite', () => {
  // What RE2::GlobalReplace gives.
  const cases: [string, string, string, string][] = [
    ['a', 'b', 'banana', 'bbnbnb'],
    ['(a)(n)', '\\2\\1', 'banana', 'bnanaa'],
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/XXX/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['x*', '-', 'abxd', '-a-b-d-'],
    ['', '-', 'ab', '-a-b-'],
    ['a', '\\0\\\\$1', 'a', 'a\\$1'],
    ['(a)|b', '[\\1]', 'ab', '[a][]'],
    ['z', 'y', 'abc', 'abc'],
  ];
  for (const [pattern, substitution, value, wanted] of cases) {
    it(`${pattern} → ${substitution} in ${value}`, () =>
      expect(compileRegexRewrite(pattern, substitution)(value)).to.equal(wanted));
  }

  it('refuses what RE2 would', () => {
    expect(() => compileRegexRewrite('a', '\\1')).to.throw(/names group 1, but the pattern has 0/);
    expect(() => compileRegexRewrite('a', '\\x')).to.throw(/a digit or another/);
    expect(() => compileRegexRewrite('a', 'b\\')).to.throw(/a digit or another/);
    expect(() => compileRegexRewrite('(?=a)', '')).to.throw();
  });
});
