import type { ChangeReport } from './control-plane.js';
import type { RecordedEvent } from './events.js';
import type { NodeStatus } from './nodes.js';

/** `GET /snapshot`. */
export interface SnapshotDescription {
  readonly version: string;
  readonly types: readonly {
    readonly type_url: string;
    readonly version: string;
    readonly resources: readonly { readonly name: string; readonly version: string; readonly source: string }[];
  }[];
}

interface Answers {
  readonly '/snapshot': SnapshotDescription;
  readonly '/nodes': { readonly nodes: readonly NodeStatus[] };
}

/** @throws Error with the API's words, or when nothing answers */
export async function getJson<Path extends keyof Answers>(port: number, path: Path): Promise<Answers[Path]> {
  return (await call(port, path, {})).json() as Promise<Answers[Path]>;
}

export async function putText(
  port: number,
  text: string,
  query: { readonly name: string; readonly type: string | undefined },
): Promise<ChangeReport> {
  const search = new URLSearchParams({ name: query.name, ...(query.type && { type: query.type }) });
  return (await call(port, `/resources?${search}`, { method: 'PUT', body: text })).json() as Promise<ChangeReport>;
}

/** Removes one resource, or, without a query, all that was pushed. */
export async function remove(port: number, query: Readonly<Record<string, string>>): Promise<ChangeReport> {
  const search = new URLSearchParams(query);
  return (await call(port, `/resources?${search}`, { method: 'DELETE' })).json() as Promise<ChangeReport>;
}

/** Events as they happen, until the control plane ends. */
export async function* readEvents(port: number, since: string | undefined): AsyncGenerator<RecordedEvent> {
  const response = await call(port, since === undefined ? '/events' : `/events?since=${encodeURIComponent(since)}`, {});
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as RecordedEvent;
  }
}

async function call(port: number, path: string, init: RequestInit): Promise<Response> {
  const url = `http://127.0.0.1:${port}${path}`;
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Error(
      `no control plane answers on http://127.0.0.1:${port} (${cause}); is it running? Set --http to its HTTP port`,
    );
  }
  if (response.ok) return response;
  const text = await response.text();
  throw new Error(errorOf(text) ?? `${response.status} ${text}`);
}

function errorOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: string }).error;
  } catch {
    return undefined;
  }
}
