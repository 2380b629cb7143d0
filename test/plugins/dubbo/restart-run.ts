import { echoService, type Provider, startProvider } from '../../support/dubbo.js';
import { ClientConnection } from '../../support/load/client-connection.js';
import { bridgeCluster, httpListener, startPontoon } from '../../support/pontoon.js';
import { routesTo, staticBootstrap } from '../../support/static-bootstrap.js';

export interface RestartRun {
  readonly requests: number;
  /** How often one of the two providers is ended and started again. */
  readonly restarts: number;
  readonly shared: boolean;
  readonly clients?: number;
}

export interface RestartResult {
  readonly byStatus: ReadonlyMap<number, number>;
  /** What must not have been; empty when all is well. */
  readonly violations: readonly string[];
  readonly seconds: number;
}

/** With several services the port is open before all are there, and the provider says 404 for the others. */
const flags = ['-Dpeer.single=true'];

/**
 * Many clients call two providers, one of which is killed (or stopped) and started again in turn while they do. Each request has a text of its own: an answer
 * with another's is a violation, and so is any failure but 503 and 504.
 */
export async function runWithRestarts({
  requests,
  restarts,
  shared,
  clients = 32,
}: RestartRun): Promise<RestartResult> {
  const byStatus = new Map<number, number>();
  const violations: string[] = [];
  const providers = await Promise.all(['one', 'two'].map((name) => startProvider(name, 0, flags)));
  const config = JSON.stringify({ connections: { shared } });
  const pontoon = await startPontoon({
    bootstrap: staticBootstrap({
      clusters: [
        bridgeCluster({
          name: 'bridge',
          ports: providers.map(({ port }) => port),
          library: 'plugins/dubbo/index.ts',
          plugin: 'dubbo',
          config,
        }),
      ],
      listeners: [httpListener('http', 'ingress', routesTo('bridge'))],
    }),
  });
  const started = Date.now();
  try {
    const { hostname, port } = new URL(await pontoon.listener('http'));
    const address = { host: hostname, port: Number(port) };
    let sent = 0;
    let restarting = true;
    const client = async (number: number): Promise<void> => {
      let connection: ClientConnection | undefined;
      // Until both are done: the requests, and the restarts that they shall meet.
      while (sent < requests || restarting) {
        sent += 1;
        const text = `${number}:${sent}:${'ä'.repeat(sent % 50)}`;
        connection ??= new ClientConnection(
          address,
          (error) => void violations.push(`a client's connection: ${error.message}`),
        );
        const response = await connection.exchange([request(text)]).catch((error: Error) => {
          violations.push(`${text.slice(0, 20)}: ${error.message}`);
        });
        if (response === undefined) return;
        byStatus.set(response.status, (byStatus.get(response.status) ?? 0) + 1);
        const body = response.body.toString();
        if (response.status === 200 ? body !== `${JSON.stringify(text)}\n` : ![503, 504].includes(response.status)) {
          violations.push(`${text.slice(0, 20)}: ${response.status} ${body.slice(0, 200)}`);
        }
        // Not in a hurry once only a restart is waited for: a JVM needs the processor, too.
        if (response.status !== 200 || sent > requests) await new Promise((resolve) => setTimeout(resolve, 10));
        if (response.headers.get('connection') === 'close') connection = undefined;
      }
      connection?.halfClose();
    };
    const running = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
    for (let round = 0; round < restarts; round++) {
      await waitFor(() => sent >= (requests * (round + 0.5)) / restarts);
      const index = round % providers.length;
      const provider = providers[index] as Provider;
      if (round % 3 === 2) await provider.stop();
      else await provider.kill();
      providers[index] = await startProvider(`again ${round}`, provider.port, flags);
    }
    restarting = false;
    await running;
    const active = await pontoon.stat('cluster.bridge.upstream_rq_active');
    if (active !== 0) violations.push(`${active} requests are still active`);
    if (violations.length > 0) console.log(pontoon.log().slice(-4000));
  } catch (error) {
    violations.push(String(error));
  } finally {
    await pontoon.stop('SIGKILL');
    await Promise.all(providers.map((provider) => provider.kill()));
  }
  return { byStatus, violations, seconds: (Date.now() - started) / 1000 };
}

function request(text: string): Buffer {
  const body = Buffer.from(JSON.stringify([text]));
  const head = `POST /${echoService}/echoString HTTP/1.1\r\nhost: a\r\ndubbo_types: String\r\ncontent-type: application/json\r\n`;
  return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]);
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
