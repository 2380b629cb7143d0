import { extname } from 'node:path';
import type { BridgeConfig } from '../model/cluster.js';
import type { Problem } from '../model/verdict.js';
import { parseJson } from '../protobuf/json.js';
import type { Schema } from '../protobuf/schema.js';
import { createJudge } from './judge-runtime.js';

export interface PluginCheckOptions {
  readonly schema: Schema;
  readonly file: string;
  readonly name: string | undefined;
  /** JSON text: the value of a TypedStruct, or, with `@type`, any message. */
  readonly config: string | undefined;
  readonly pluginRoots: readonly string[];
}

export interface PluginCheckResult {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** `pontoon plugin check`: judges a library, and a configuration, by the code that judges what a control plane sends. */
export async function checkPlugin(options: PluginCheckOptions): Promise<PluginCheckResult> {
  const { schema, file, name } = options;
  const pluginConfig = readConfig(schema, options.config);
  if ('problems' in pluginConfig) return { ok: false, lines: linesOf(file, pluginConfig.problems) };
  const judged = await createJudge(schema, options.pluginRoots).prepare({
    libraryId: 'check',
    libraryPath: file,
    pluginName: name ?? '',
    pluginConfig,
  });
  if (!judged.ok) return { ok: false, lines: linesOf(file, judged.problems) };
  judged.bridge.release();
  return { ok: true, lines: [`${file} OK (sha256 ${judged.bridge.libraryHash})`, ...hints(file, name)] };
}

function hints(file: string, name: string | undefined): string[] {
  if (name === undefined) return ['only the library was judged: give --name, and --config, to judge a configuration'];
  if (extname(file) !== '.so') return [];
  return [`whether it has a plugin ${JSON.stringify(name)} can't be told: Go says so with the first exchange`];
}

const linesOf = (file: string, problems: readonly Problem[]): string[] =>
  problems.map(({ path, message }) => `${file}: ${path}: ${message}`);

function readConfig(
  schema: Schema,
  text: string | undefined,
): BridgeConfig['pluginConfig'] | { readonly problems: readonly Problem[] } {
  if (text === undefined) return { typeUrl: '', value: new Uint8Array() };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { problems: [{ path: '--config', message: `no JSON: ${(error as Error).message}` }] };
  }
  const isAny = typeof json === 'object' && json !== null && '@type' in json;
  const any = isAny ? json : { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', value: json };
  const parsed = parseJson(schema, 'google.protobuf.Any', any, '--config');
  if (!parsed.ok) return { problems: parsed.problems };
  const { type_url: typeUrl, value } = schema.decode<{ type_url: string; value: Uint8Array }>(
    'google.protobuf.Any',
    parsed.bytes,
  );
  return { typeUrl, value };
}
