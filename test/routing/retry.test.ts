import { expect } from 'chai';
import { responseFlags } from '../../src/access-log/response-flags.js';
import type { ExchangeFailure } from '../../src/bridge/exchange.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { RetryOn, RetryPolicy, VirtualHost } from '../../src/model/route.js';
import { createRetryBackOff } from '../../src/routing/retry-back-off.js';
import {
  forward,
  plainHeaders,
  retryPolicy,
  route,
  routeConfig,
  routerBed,
  type ScriptedExchange,
  testHost,
  virtualHost,
} from './support.js';

const { UF, UC, UT, UO, URX } = responseFlags;
const status = (code: number, headers: string[] = []) => new HeaderMap([':status', String(code), ...headers]);
const closed: ExchangeFailure = { kind: 'upstream_closed', reason: 'ECONNRESET' };
const protocolError: ExchangeFailure = { kind: 'protocol_error', reason: 'x' };
const refused: ExchangeFailure = {
  kind: 'pool',
  failure: { kind: 'connect_failure', host: testHost(), reason: 'connect ECONNREFUSED' },
};

interface Given {
  readonly policy?: Partial<RetryPolicy>;
  readonly host?: Partial<VirtualHost>;
  readonly timeoutMs?: number;
  readonly headers?: Record<string, string>;
  readonly body?: boolean;
  readonly bufferLimit?: number;
  readonly random?: () => number;
  readonly maxRetries?: number;
}

/** A request whose first attempt runs. */
function started({ policy, host, timeoutMs = 15_000, headers, body = false, bufferLimit, ...bedOptions }: Given) {
  const action = forward({ timeoutMs, retryPolicy: policy && retryPolicy(policy) });
  const config = routeConfig({
    virtualHosts: [virtualHost({ routes: [route({ action, requestBufferLimitBytes: bufferLimit })], ...host })],
  });
  const bed = routerBed(config, bedOptions);
  const stream = bed.handle(headers, !body);
  const attempt = (index: number): ScriptedExchange => {
    const exchange = bed.exchanges[index];
    if (!exchange) throw new Error(`there was no attempt ${index + 1}`);
    return exchange;
  };
  return {
    ...bed,
    stream,
    attempt,
    stat: (name: string) => bed.counter(`cluster.echo.${name}`),
    retries: () => bed.clusters.get('echo'),
    /** What the latest attempt came to. */
    fail: (failure: ExchangeFailure) => attempt(bed.exchanges.length - 1).options.callbacks.onFailure(failure),
    respond: (code: number, more: string[] = []) =>
      attempt(bed.exchanges.length - 1).options.callbacks.onHeaders(status(code, more), true),
    /** A byte of the request was written. */
    wrote() {
      stream.info.firstUpstreamTxByte = 1;
    },
  };
}

type Bed = ReturnType<typeof started>;

/** How many retries are taken in the circuit breaker. */
function retriesTaken(bed: Bed): number {
  const found = bed.clusters.get('echo');
  if (found?.kind !== 'active') throw new Error('no cluster');
  return found.cluster.retries('default').count;
}

describe('router: retries', () => {
  describe('conditions', () => {
    const written = (bed: Bed, failure: ExchangeFailure): void => {
      bed.wrote();
      bed.fail(failure);
    };
    const events: Record<string, (bed: Bed) => void> = {
      refused: (bed) => bed.fail(refused),
      'connect timeout': (bed) => bed.fail({ kind: 'pool', failure: { kind: 'connect_timeout', host: testHost() } }),
      'closed before the request': (bed) => bed.fail(closed),
      closed: (bed) => written(bed, closed),
      'protocol error': (bed) => written(bed, protocolError),
      500: (bed) => bed.respond(500),
      502: (bed) => bed.respond(502),
      504: (bed) => bed.respond(504),
      505: (bed) => bed.respond(505),
      409: (bed) => bed.respond(409),
      425: (bed) => bed.respond(425),
      'x-again': (bed) => bed.respond(200, ['x-again', '1']),
      ratelimited: (bed) => bed.respond(503, ['x-envoy-ratelimited', '1']),
      'grpc 14': (bed) => bed.respond(200, ['grpc-status', '14']),
      'grpc 1': (bed) => bed.respond(200, ['grpc-status', '1']),
      // Never retried.
      overflow: (bed) => bed.fail({ kind: 'pool', failure: { kind: 'overflow', host: testHost() } }),
      'no host': (bed) => bed.fail({ kind: 'pool', failure: { kind: 'no_healthy_upstream' } }),
      'plugin error': (bed) => bed.fail({ kind: 'plugin_error', plugin: 'p', error: new Error('x') }),
      'too large': (bed) => bed.fail({ kind: 'request_too_large' }),
      'response too large': (bed) => bed.fail({ kind: 'response_too_large' }),
      drained: (bed) => bed.fail({ kind: 'drain_timeout' }),
      'local reply': (bed) =>
        bed.attempt(0).options.callbacks.onLocalReply(503, Buffer.from(''), new HeaderMap(['x-again', '1'])),
      200: (bed) => bed.respond(200),
    };
    const connection = ['refused', 'connect timeout'];
    const beforeRequest = [...connection, 'closed before the request'];
    const reset = [...beforeRequest, 'closed', 'protocol error'];
    const cases: [RetryOn, readonly string[]][] = [
      ['connect-failure', connection],
      ['reset-before-request', beforeRequest],
      ['reset', reset],
      ['5xx', [...reset, '500', '502', '504', '505']],
      ['gateway-error', [...reset, '502', '504']],
      ['retriable-4xx', ['409']],
      ['retriable-status-codes', ['425']],
      ['retriable-headers', ['x-again']],
      ['envoy-ratelimited', ['ratelimited']],
      ['unavailable', ['grpc 14']],
      ['cancelled', ['grpc 1']],
      ['deadline-exceeded', []],
    ];
    for (const [retryOn, retried] of cases) {
      it(`${retryOn}: ${retried.join(', ') || 'none of these'}`, () => {
        const found = Object.entries(events)
          .filter(([, happens]) => {
            const bed = started({
              policy: {
                retryOn: [retryOn],
                retriableStatusCodes: [425],
                retriableHeaders: [
                  {
                    name: 'x-again',
                    test: { kind: 'present', present: true },
                    invert: false,
                    treatMissingAsEmpty: false,
                  },
                ],
              },
            });
            happens(bed);
            const again = bed.stream.headers === undefined && bed.stream.resetReason === undefined;
            bed.clock.advance(25);
            expect(bed.exchanges.length === 2).to.equal(again);
            return again;
          })
          .map(([name]) => name);
        expect(found).to.have.members([...retried]);
      });
    }

    it('nothing without a policy', () => {
      for (const happens of Object.values(events)) {
        const bed = started({});
        happens(bed);
        expect(bed.stream.headers).not.to.equal(undefined);
        expect(bed.clock.pending).to.equal(0);
      }
    });

    it('the plugin’s veto: what is not idempotent is written once', () => {
      for (const [name, wrote, expected] of [
        ['closed', false, true],
        ['closed', true, false],
        ['503', true, false],
      ] as const) {
        const bed = started({ policy: { retryOn: ['5xx'] } });
        bed.attempt(0).idempotent = false;
        if (wrote) bed.wrote();
        if (name === 'closed') bed.fail(closed);
        else bed.respond(503);
        expect(bed.stream.headers === undefined, `${name} ${wrote}`).to.equal(expected);
        expect(bed.stream.info.responseFlags & URX).to.equal(0);
      }
    });

    it('a request that was written in an earlier attempt stays written', () => {
      const bed = started({ policy: { retryOn: ['reset-before-request', 'retriable-4xx'], numRetries: 5 } });
      bed.wrote();
      bed.respond(409);
      bed.clock.advance(25);
      expect(bed.exchanges).to.have.length(2);
      bed.fail(closed);
      expect(bed.stream.status).to.equal(503);
    });
  });

  describe('policies', () => {
    it('the route’s wins over the virtual host’s', () => {
      for (const [own, inherited, expected] of [
        [['reset'], undefined, true],
        [undefined, ['reset'], true],
        [[], ['reset'], false],
        [['connect-failure'], ['reset'], false],
      ] as [RetryOn[] | undefined, RetryOn[] | undefined, boolean][]) {
        const bed = started({
          ...(own && { policy: { retryOn: own } }),
          host: { retryPolicy: inherited && retryPolicy({ retryOn: inherited }) },
        });
        bed.fail(closed);
        expect(bed.stream.headers === undefined).to.equal(expected);
      }
    });

    it('the request’s headers add to it', () => {
      const header = { name: 'x-safe', test: { kind: 'present', present: true }, invert: false } as const;
      const retriableRequestHeaders = [{ ...header, treatMissingAsEmpty: false }];
      const cases: [Partial<RetryPolicy> | undefined, Record<string, string>, number, string[], number][] = [
        [undefined, { 'x-envoy-retry-on': 'gateway-error, nonsense' }, 502, [], 1],
        [undefined, { 'x-envoy-retry-on': 'unavailable' }, 502, [], 0],
        [undefined, { 'x-envoy-retry-grpc-on': 'unavailable' }, 200, ['grpc-status', '14'], 1],
        [{ retryOn: ['5xx'] }, { 'x-envoy-max-retries': '3' }, 502, [], 3],
        [{ retryOn: ['5xx'] }, { 'x-envoy-max-retries': 'many' }, 502, [], 1],
        [{ retryOn: ['5xx'] }, { 'x-envoy-max-retries': '0' }, 502, [], 0],
        [
          { retryOn: ['retriable-status-codes'], retriableStatusCodes: [410] },
          { 'x-envoy-retriable-status-codes': '411, x,412' },
          412,
          [],
          1,
        ],
        [{ retryOn: ['retriable-headers'] }, { 'x-envoy-retriable-header-names': 'X-Again' }, 200, ['x-again', ''], 1],
        [{ retryOn: ['5xx'], retriableRequestHeaders }, {}, 502, [], 0],
        [{ retryOn: ['5xx'], retriableRequestHeaders }, { 'x-safe': '1' }, 502, [], 1],
      ];
      for (const [policy, headers, code, more, expected] of cases) {
        const bed = started({ ...(policy && { policy }), headers, maxRetries: 10 });
        for (let i = 0; i < 10 && bed.stream.headers === undefined; i++) {
          bed.respond(code, more);
          bed.clock.advance(250);
        }
        expect(bed.exchanges.length - 1, JSON.stringify(headers)).to.equal(expected);
        expect(Object.keys(plainHeaders(bed.attempt(0).options.requestHeaders)).join()).not.to.match(/retr/);
      }
    });
  });

  describe('back-off', () => {
    it('doubles up to the longest interval, as in Envoy', () => {
      for (const [baseMs, maxMs, expected] of [
        [25, 250, [25, 50, 100, 200, 250]],
        [10, 10, [10, 10, 10]],
        [1, 1, [1, 1]],
        [100, 399, [100, 200, 399]],
        [100, 400, [100, 200, 400, 400]],
        [100, 402, [100, 200, 400, 402, 402]],
      ] as const) {
        const next = createRetryBackOff({ baseMs, maxMs }, () => 0.999_999);
        expect(expected.map(() => next() + 1)).to.deep.equal([...expected]);
      }
      const next = createRetryBackOff({ baseMs: 8, maxMs: 80 }, () => 0.5);
      expect([next(), next(), next()]).to.deep.equal([4, 8, 16]);
    });

    it('is waited for', () => {
      const bed = started({
        policy: { retryOn: ['reset'], numRetries: 2, backOff: { baseMs: 100, maxMs: 1000 } },
        random: () => 0.5,
      });
      bed.fail(closed);
      bed.clock.advance(49);
      expect(bed.exchanges).to.have.length(1);
      bed.clock.advance(1);
      expect(bed.exchanges).to.have.length(2);
      bed.fail(closed);
      bed.clock.advance(99);
      expect(bed.exchanges).to.have.length(2);
      bed.clock.advance(1);
      expect(bed.exchanges).to.have.length(3);
      expect(bed.stat('upstream_rq_retry_backoff_exponential')).to.equal(2);
    });
  });

  describe('limits', () => {
    it('the number of retries: URX, with the last failure', () => {
      const bed = started({ policy: { retryOn: ['connect-failure'], numRetries: 2 } });
      for (let i = 0; i < 3; i++) {
        bed.fail(refused);
        bed.clock.advance(250);
      }
      expect(bed.exchanges).to.have.length(3);
      expect(bed.stream.status).to.equal(503);
      expect(bed.stream.body).to.equal(
        'upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure',
      );
      expect(bed.stream.info).to.include({ upstreamAttempts: 3, responseFlags: UF | URX });
      expect(bed.stat('upstream_rq_retry')).to.equal(2);
      expect(bed.stat('upstream_rq_retry_limit_exceeded')).to.equal(1);
      expect(bed.stat('upstream_rq_retry_success')).to.equal(0);
      expect(bed.stat('upstream_rq_503')).to.equal(1);
      expect(retriesTaken(bed)).to.equal(0);
      expect(bed.clock.pending).to.equal(0);
    });

    it('a response that would be retried goes out with URX', () => {
      const bed = started({ policy: { retryOn: ['5xx'], numRetries: 1 } });
      bed.attempt(0).host = testHost();
      bed.respond(503);
      expect(bed.attempt(0).cancelled).to.equal(1);
      expect(bed.attempt(0).host?.stats).to.include({ rqError: 1 });
      expect(bed.stat('retry.upstream_rq_503')).to.equal(1);
      expect(bed.stat('retry.upstream_rq_5xx')).to.equal(1);
      expect(bed.stat('retry.upstream_rq_completed')).to.equal(1);
      expect(bed.stat('upstream_rq_503')).to.equal(0);
      bed.clock.advance(25);
      bed.respond(502);
      expect(bed.stream.status).to.equal(502);
      expect(bed.stream.info).to.include({ responseFlags: URX, responseCodeDetails: 'via_upstream' });
      expect(bed.stat('upstream_rq_502')).to.equal(1);
    });

    it('the circuit breaker: UO, and what is held is given back', () => {
      const bed = started({ policy: { retryOn: ['reset'], numRetries: 5 }, maxRetries: 1 });
      bed.fail(closed);
      expect(retriesTaken(bed)).to.equal(1);
      const other = bed.handle();
      bed.fail(closed);
      expect(other.status).to.equal(503);
      expect(other.info.responseFlags).to.equal(UC | UO);
      expect(bed.stat('upstream_rq_retry_overflow')).to.equal(1);
      bed.clock.advance(25);
      expect(retriesTaken(bed)).to.equal(1);
      // Its own place is free for the next one.
      bed.fail(closed);
      expect(retriesTaken(bed)).to.equal(1);
      bed.clock.advance(50);
      bed.respond(200);
      expect(retriesTaken(bed)).to.equal(0);
      expect(bed.stream.info.responseFlags).to.equal(0);
      expect(bed.stat('upstream_rq_retry_success')).to.equal(1);
    });
  });

  describe('the body', () => {
    const limited: Given = { policy: { retryOn: ['reset'], numRetries: 3 }, body: true, bufferLimit: 8 };

    it('is sent again as it came, and goes on', () => {
      const bed = started(limited);
      const piece = Buffer.from('abc');
      bed.stream.handler?.onData(piece, false);
      // Plugins change their pieces in place.
      piece.fill('z');
      bed.fail(closed);
      bed.stream.handler?.onData(Buffer.from('de'), false);
      bed.clock.advance(25);
      expect(bed.attempt(1).received).to.equal('abcde');
      expect(bed.attempt(1).options.requestEndStream).to.equal(false);
      bed.stream.handler?.onData(Buffer.from('f'), false);
      bed.fail(closed);
      bed.clock.advance(50);
      bed.stream.handler?.onData(Buffer.from('gh'), true);
      expect(bed.attempt(2).received).to.equal('abcdefgh');
      expect(bed.attempt(2).requestEnded).to.equal(true);
      bed.fail(closed);
      bed.clock.advance(100);
      expect(bed.attempt(3).received).to.equal('abcdefgh');
      expect(bed.attempt(3).requestEnded).to.equal(true);
      bed.respond(200);
      expect(bed.stream.status).to.equal(200);
    });

    it('that ends while waiting for the last retry is whole', () => {
      const bed = started({ ...limited, policy: { retryOn: ['reset'], numRetries: 1 } });
      bed.stream.handler?.onData(Buffer.from('ab'), false);
      bed.fail(closed);
      bed.stream.handler?.onData(Buffer.from('cd'), true);
      bed.clock.advance(25);
      expect(bed.attempt(1).received).to.equal('abcd');
      expect(bed.attempt(1).requestEnded).to.equal(true);
    });

    it('over the limit there is no retry', () => {
      const bed = started(limited);
      bed.stream.handler?.onData(Buffer.from('123456789'), false);
      expect(bed.attempt(0).received).to.equal('123456789');
      expect(bed.stat('retry_or_shadow_abandoned')).to.equal(1);
      bed.fail(closed);
      expect(bed.stream.status).to.equal(503);
      expect(bed.stream.info.responseFlags).to.equal(UC);
    });

    it('over the limit while waiting for a retry: 507', () => {
      const bed = started(limited);
      bed.stream.handler?.onData(Buffer.from('1234'), false);
      bed.fail(closed);
      bed.stream.handler?.onData(Buffer.from('56789'), false);
      expect(bed.stream.status).to.equal(507);
      expect(bed.stream.body).to.equal('exceeded request buffer limit while retrying upstream');
      expect(bed.stream.info.responseCodeDetails).to.equal('request_payload_exceeded_retry_buffer_limit');
      expect(bed.clock.pending).to.equal(0);
      expect(retriesTaken(bed)).to.equal(0);
    });

    it('is of no concern once the response has begun', () => {
      const bed = started(limited);
      bed.attempt(0).options.callbacks.onHeaders(status(200), false);
      bed.stream.handler?.onData(Buffer.from('123456789'), true);
      expect(bed.attempt(0).received).to.equal('123456789');
      expect(bed.stat('retry_or_shadow_abandoned')).to.equal(0);
      bed.fail(closed);
      expect(bed.stream.resetReason).to.equal('local_reset');
      expect(bed.exchanges).to.have.length(1);
    });
  });

  describe('time', () => {
    it('the route’s timeout covers all attempts and the waiting between them', () => {
      const bed = started({
        policy: { retryOn: ['reset'], numRetries: 9, backOff: { baseMs: 100, maxMs: 100 } },
        timeoutMs: 60,
        random: () => 0.5,
      });
      const { requestHeaders } = bed.stream;
      expect(requestHeaders.get('x-envoy-expected-rq-timeout-ms')).to.equal('60');
      bed.clock.advance(5);
      bed.fail(closed);
      bed.clock.advance(50);
      expect(requestHeaders.get('x-envoy-expected-rq-timeout-ms')).to.equal('5');
      bed.fail(closed);
      bed.clock.advance(5);
      expect(bed.stream.status).to.equal(504);
      expect(bed.stream.info).to.include({ responseFlags: UT, responseCodeDetails: 'response_timeout' });
      expect(bed.exchanges).to.have.length(2);
      expect(bed.clock.pending).to.equal(0);
      expect(retriesTaken(bed)).to.equal(0);
    });

    it('an attempt’s begins with the whole request and a connection', () => {
      const bed = started({ policy: { retryOn: ['reset'], perTryTimeoutMs: 10 }, body: true });
      bed.attempt(0).host = testHost();
      bed.clock.advance(100);
      bed.attempt(0).options.callbacks.onConnected();
      bed.clock.advance(100);
      bed.stream.handler?.onData(Buffer.from('x'), true);
      bed.clock.advance(9);
      expect(bed.stat('upstream_rq_per_try_timeout')).to.equal(0);
      bed.clock.advance(1);
      expect(bed.stat('upstream_rq_per_try_timeout')).to.equal(1);
      expect(bed.attempt(0).host?.stats).to.include({ rqTimeout: 1, rqError: 1 });
      expect(bed.attempt(0).cancelled).to.equal(1);
      bed.clock.advance(0);
      expect(bed.exchanges).to.have.length(2);
      bed.clock.advance(100);
      expect(bed.attempt(1).cancelled).to.equal(0);
      bed.attempt(1).options.callbacks.onConnected();
      bed.clock.advance(10);
      expect(bed.attempt(1).cancelled).to.equal(1);
      expect(bed.stream.status).to.equal(504);
      expect(bed.stream.body).to.equal('upstream request timeout');
      expect(bed.stream.info).to.include({ responseFlags: UT | URX, responseCodeDetails: 'upstream_per_try_timeout' });
      expect(bed.stat('upstream_rq_timeout')).to.equal(0);
      expect(bed.clock.pending).to.equal(0);
    });

    it('an attempt’s timeout applies without retries, too, and ends with the response’s headers', () => {
      const slow = started({ policy: { perTryTimeoutMs: 10 } });
      slow.attempt(0).options.callbacks.onConnected();
      slow.clock.advance(10);
      expect(slow.stream.info).to.include({ responseCode: 504, responseFlags: UT });
      const begun = started({ policy: { perTryTimeoutMs: 10 } });
      begun.attempt(0).options.callbacks.onConnected();
      begun.attempt(0).options.callbacks.onHeaders(status(200), false);
      begun.clock.advance(100);
      expect(begun.attempt(0).cancelled).to.equal(0);
    });

    it('is told to servers: the attempt’s, else the route’s', () => {
      const told = (perTryTimeoutMs: number, timeoutMs: number, headers: Record<string, string> = {}) =>
        started({ policy: { perTryTimeoutMs }, timeoutMs, headers }).stream.requestHeaders.get(
          'x-envoy-expected-rq-timeout-ms',
        );
      expect(told(10, 100)).to.equal('10');
      expect(told(10, 0)).to.equal('10');
      // As long as the route's: ignored.
      expect(told(100, 100)).to.equal('100');
      expect(told(0, 0)).to.equal(undefined);
      expect(told(10, 100, { 'x-envoy-upstream-rq-per-try-timeout-ms': '20' })).to.equal('20');
      expect(told(10, 100, { 'x-envoy-upstream-rq-per-try-timeout-ms': '0' })).to.equal('100');
    });
  });

  describe('between attempts', () => {
    const given: Given = { policy: { retryOn: ['reset', '5xx'], numRetries: 2 } };

    it('a client that goes away takes the retry along', () => {
      const bed = started(given);
      bed.fail(closed);
      expect(bed.clock.pending).to.equal(2);
      bed.stream.handler?.onReset('downstream_closed');
      expect(bed.clock.pending).to.equal(0);
      expect(retriesTaken(bed)).to.equal(0);
      bed.clock.advance(1000);
      expect(bed.exchanges).to.have.length(1);
      expect(bed.attempt(0).cancelled).to.equal(0);
    });

    it('a cluster that is gone is no healthy upstream; another version serves', () => {
      const gone = started(given);
      gone.fail(closed);
      gone.clusters.delete('echo');
      gone.clock.advance(25);
      expect(gone.stream.status).to.equal(503);
      expect(gone.stream.body).to.equal('no healthy upstream');
      expect(gone.stream.info).to.include({ responseFlags: responseFlags.UH, upstreamAttempts: 2 });
      expect(gone.clock.pending).to.equal(0);

      const moved = started(given);
      moved.fail(closed);
      const other = moved.clusters.get('other');
      if (other) moved.clusters.set('echo', other);
      moved.clock.advance(25);
      expect(moved.attempt(1).options.cluster.config.name).to.equal('other');
      moved.respond(200);
      expect(moved.counter('cluster.other.upstream_rq_200')).to.equal(1);
      expect(moved.counter('cluster.other.upstream_rq_retry_success')).to.equal(1);
    });

    it('the log forgets the server that failed', () => {
      const bed = started(given);
      const { info } = bed.stream;
      Object.assign(info, { upstreamHost: 'a:1', upstreamLocalAddress: 'b:2', firstUpstreamTxByte: 1 });
      bed.fail(closed);
      expect(info.upstreamHost).to.equal(undefined);
      expect(info.upstreamLocalAddress).to.equal(undefined);
      expect(info.firstUpstreamTxByte).to.equal(undefined);
    });

    it('hosts that were tried are avoided where the policy says so', () => {
      for (const avoidPreviousHosts of [true, false]) {
        const bed = started({
          policy: { retryOn: ['reset', '5xx'], numRetries: 2, avoidPreviousHosts, hostSelectionMaxAttempts: 4 },
        });
        expect(bed.attempt(0).options.avoidHosts).to.equal(undefined);
        bed.attempt(0).host = testHost('a');
        bed.fail(closed);
        bed.clock.advance(25);
        bed.attempt(1).host = testHost('b');
        bed.respond(500);
        bed.clock.advance(50);
        const avoided = bed.attempt(2).options.avoidHosts;
        if (avoidPreviousHosts) expect(avoided).to.deep.equal({ keys: new Set(['a', 'b']), attempts: 4 });
        else expect(avoided).to.equal(undefined);
      }
    });
  });

  describe('headers about attempts', () => {
    it('x-envoy-attempt-count goes to servers and to clients', () => {
      const bed = started({
        policy: { retryOn: ['reset', '5xx'], numRetries: 2, perTryTimeoutMs: 10 },
        host: {
          includeRequestAttemptCount: true,
          includeAttemptCountInResponse: true,
          includeIsTimeoutRetryHeader: true,
        },
      });
      const seen = () => plainHeaders(bed.stream.requestHeaders);
      expect(seen()['x-envoy-attempt-count']).to.equal('1');
      expect(seen()).not.to.have.property('x-envoy-is-timeout-retry');
      bed.fail(closed);
      bed.clock.advance(25);
      expect(seen()).to.include({ 'x-envoy-attempt-count': '2', 'x-envoy-is-timeout-retry': 'false' });
      bed.attempt(1).options.callbacks.onConnected();
      bed.clock.advance(10);
      bed.clock.advance(50);
      expect(seen()).to.include({ 'x-envoy-attempt-count': '3', 'x-envoy-is-timeout-retry': 'true' });
      bed.respond(200);
      expect(bed.stream.headers?.get('x-envoy-attempt-count')).to.equal('3');
    });

    it('replies of our own tell them, too; nobody is told unasked', () => {
      const told = started({ host: { includeAttemptCountInResponse: true } });
      told.fail(closed);
      expect(told.stream.headers?.get('x-envoy-attempt-count')).to.equal('1');
      const untold = started({});
      untold.fail(closed);
      expect(untold.stream.headers?.has('x-envoy-attempt-count')).to.equal(false);
      expect(untold.stream.requestHeaders.has('x-envoy-attempt-count')).to.equal(false);
    });
  });
});
