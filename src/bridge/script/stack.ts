import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, join } from 'node:path';
import { stackOf } from '../plugin-error.js';
import type { Bundle } from './bundle.js';

export type StackMapper = (stack: string) => string;

/** Makes stack traces of a bundle speak of its source files. The map is only read when a trace comes. */
export function stackMapper({ path, map }: Pick<Bundle, 'path' | 'map'>): StackMapper {
  const places = new RegExp(`${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}:(\\d+):(\\d+)`, 'g');
  let sources: SourceMap | undefined;
  return (stack) =>
    stack.replace(places, (place, line: string, column: string) => {
      sources ??= new SourceMap(JSON.parse(map) as SourceMapPayload);
      const entry = sources.findEntry(Number(line) - 1, Number(column) - 1);
      if (!('originalSource' in entry)) return place;
      return `${join(dirname(path), entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    });
}

/** `file:line:column` where an error arose, or just the library's file. */
export function placeOf(thrown: unknown, path: string, mapStack: StackMapper): string {
  const frame = stackOf(thrown)
    ?.split('\n')
    .find((line) => line.includes(`${path}:`));
  const place = frame === undefined ? undefined : /(?:\(|at )([^(]+:\d+:\d+)\)?$/.exec(mapStack(frame))?.[1];
  return place ?? path;
}
