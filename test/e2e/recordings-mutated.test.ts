import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { again, mutate } from '../support/mutate-recording.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { createRandom } from '../support/random.js';
import { load, type Recorded, Replay, replayBootstrap } from '../support/recordings.js';
import { ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const folders = ['gcp/seq-delta', 'gcp/ttl-sotw', 'istio/sidecar-delta', 'istio/sidecar-sotw', 'kuma/web-delta'];
const mutants = 60;

/** What /config_dump says of everything, without what differs from one time to the next, and in no order. */
async function stateOf(pontoon: Pontoon): Promise<string[]> {
  const { configs } = JSON.parse(await pontoon.get('/config_dump?include_eds'), (key, value) =>
    /^(last_updated|last_update_attempt|version_info|bootstrap|static_.*)$/.test(key) ? undefined : value,
  ) as { configs: Record<string, unknown>[] };
  return configs
    .flatMap((config) => Object.values(config).filter(Array.isArray).flat())
    .map((entry) => JSON.stringify(entry))
    .sort();
}

describe('recordings of control planes, with changes', () => {
  for (const folder of folders)
    it(`${folder}: whatever is sent, nothing ends, and what was recorded is taken as ever`, async function () {
      this.timeout(90_000);
      const seed = Date.now() % 2 ** 31;
      const random = createRandom(seed);
      const xds = await ScriptedXdsServer.start();
      let server: TcpServer | undefined;
      let pontoon: Pontoon | undefined;
      const replays: Replay[] = [];
      const connect = async () => {
        const replay = new Replay(await xds.nextStream());
        replays.push(replay);
        return replay;
      };
      try {
        server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
        const recorded = load(folder, server.port);
        const variant = (recorded[0] as Recorded).variant;
        pontoon = await startPontoon({ bootstrap: replayBootstrap(variant, xds.port, '') });
        const first = await connect();
        await first.run(recorded, async () => undefined);
        const expected = await stateOf(pontoon);

        const sent: Recorded[] = [];
        for (let n = 0; n < mutants; n++) {
          const one = recorded[Math.floor(random() * recorded.length)] as Recorded;
          const mutant = mutate(one, `mutant-${n}`, random);
          first.stream.send(mutant.bytes);
          sent.push(mutant);
          if (random() < 0.3) await sleep(random() * 30);
        }
        // Good ones are answered whatever is still to be said of bad ones.
        const last = again(recorded.find(({ typeUrl }) => typeUrl.endsWith('.Cluster')) as Recorded, 'after them');
        first.stream.send(last.bytes);
        await until(
          `the last answer, seed ${seed}`,
          () => (first.answers.some((answer) => answer.response_nonce === last.nonce) ? true : undefined),
          20_000,
        );
        if (variant === 'DELTA')
          for (const { typeUrl, nonce } of sent) {
            const answers = first.answers.filter((one) => one.type_url === typeUrl && one.response_nonce === nonce);
            expect(answers.length, `answers to ${typeUrl} ${nonce}, seed ${seed}`).to.be.at.most(1);
          }
        expect(pontoon.log(), `seed ${seed}`).to.not.match(/TypeError|RangeError|could not be handled|unhandled/);

        // The control plane comes to its senses: what it does not know it says to be gone.
        first.stream.end();
        const second = await connect();
        if (variant === 'DELTA') {
          await until('what is held', () => (second.answers.length >= 2 ? true : undefined));
          for (const { type_url, initial_resource_versions: held } of second.answers)
            second.stream.send({ type_url, nonce: `gone ${type_url}`, removed_resources: Object.keys(held) });
        }
        await second.run(recorded, async () => undefined);
        expect(await stateOf(pontoon), `seed ${seed}`).to.deep.equal(expected);
      } finally {
        for (const replay of replays) replay.close();
        await pontoon?.stop('SIGKILL');
        await server?.close();
        xds.stop();
      }
    });
});
