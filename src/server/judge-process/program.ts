// The judge's program: opens libraries and runs the plugins' code for the first time, so that the main process never does. It may die of it.
import { loadNativeHost } from '../../bridge/go/native-host.js';
import { describe, stackOf } from '../../bridge/plugin-error.js';
import type { BridgeJudge, StoredBridge } from '../../bridge/prepared-bridge.js';
import { createBridgeJudge } from '../../bridge/runtime.js';
import { loadSchema } from '../../protobuf/schema.js';
import { unpackPluginConfig } from '../unpack-plugin-config.js';
import type { Answer, FromJudge, JudgeSettings, Question, ToJudge } from './messages.js';

// Main decides when this process ends, not the terminal that sends a signal to all. Without a listener for SIGUSR1, Node opens a debugger's port.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
// Main may go while a plugin's call blocks this process.
const native = loadNativeHost();
if (native.available) native.host.addon.dieWithParent();

// When it fails, main is gone, and this process ends.
const send = (message: FromJudge): void => void process.send?.(message, () => undefined);

// What a plugin's timer or a stray promise throws must not end the judgement of all others.
const report = (thrown: unknown): void =>
  send({ kind: 'uncaught', what: stackOf(thrown)?.slice(0, 4_000) ?? describe(thrown) });
process.on('uncaughtException', report);
process.on('unhandledRejection', report);

function createJudge({ pluginRoots, storeFolder }: JudgeSettings): BridgeJudge<StoredBridge> {
  const schema = loadSchema();
  return createBridgeJudge({
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots,
    cwd: process.cwd(),
    storeFolder,
  });
}

async function answerTo(judge: BridgeJudge<StoredBridge>, { kind, config }: Question): Promise<Answer> {
  if (kind === 'hash') return { kind: 'hash', hash: await judge.currentHash(config) };
  const result = await judge.prepare(config);
  if (!result.ok) return { kind: 'refused', problems: result.problems };
  const { bridge } = result;
  const { id, libraryHash, library } = bridge;
  bridge.release();
  return { kind: 'accepted', judged: { id, libraryHash, library } };
}

let answers: { id: number; answer: Answer }[] = [];

/** Those of one turn go together. */
function sendAnswer(id: number, answer: Answer): void {
  if (answers.length === 0) {
    setImmediate(() => {
      send({ kind: 'answers', answers });
      answers = [];
    });
  }
  answers.push({ id, answer });
}

let judge: BridgeJudge<StoredBridge> | undefined;

function onMessage(message: ToJudge): void {
  if (message.kind === 'settings') {
    judge = createJudge(message.settings);
    send({ kind: 'ready' });
  } else {
    for (const { id, ...question } of message.questions) {
      if (judge) void answerTo(judge, question).then((answer) => sendAnswer(id, answer));
    }
  }
}
process.on('message', onMessage);
