import type { JavaType } from './types.js';

/** What the configuration says of a class. */
export type ClassInfo =
  | { readonly kind: 'enum'; readonly names: ReadonlySet<string> }
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, JavaType> };

export type ClassTable = ReadonlyMap<string, ClassInfo>;

/** Java's collections, by what Hessian calls them. undefined: untyped, which readers take for an ArrayList. */
const lists: ReadonlyMap<string, string | undefined> = new Map([
  ...[
    'java.util.List',
    'java.util.Collection',
    'java.lang.Iterable',
    'java.util.ArrayList',
    'java.util.AbstractList',
  ].map((name) => [name, undefined] as const),
  ...[
    'java.util.LinkedList',
    'java.util.Vector',
    'java.util.Stack',
    'java.util.ArrayDeque',
    'java.util.PriorityQueue',
  ].map((name) => [name, name] as const),
  ...['java.util.concurrent.CopyOnWriteArrayList', 'java.util.concurrent.ConcurrentLinkedQueue'].map(
    (name) => [name, name] as const,
  ),
  ['java.util.Queue', 'java.util.LinkedList'],
  ['java.util.Deque', 'java.util.LinkedList'],
  ['java.util.Set', 'java.util.HashSet'],
  ['java.util.SortedSet', 'java.util.TreeSet'],
  ['java.util.NavigableSet', 'java.util.TreeSet'],
  ...['java.util.HashSet', 'java.util.LinkedHashSet', 'java.util.TreeSet'].map((name) => [name, name] as const),
]);

const maps: ReadonlyMap<string, string | undefined> = new Map([
  ['java.util.Map', undefined],
  ['java.util.HashMap', undefined],
  ['java.util.SortedMap', 'java.util.TreeMap'],
  ['java.util.NavigableMap', 'java.util.TreeMap'],
  ['java.util.concurrent.ConcurrentMap', 'java.util.concurrent.ConcurrentHashMap'],
  ...[
    'java.util.LinkedHashMap',
    'java.util.TreeMap',
    'java.util.Hashtable',
    'java.util.Properties',
    'java.util.concurrent.ConcurrentHashMap',
  ].map((name) => [name, name] as const),
]);

export const isListClass = (name: string): boolean => lists.has(name);
export const isMapClass = (name: string): boolean => maps.has(name);
export const listType = (name: string): string | undefined => lists.get(name);
export const mapType = (name: string): string | undefined => maps.get(name);

/** Classes that Hessian sends as an object with one field, `value`, which is a text. */
export const textValueClasses: ReadonlySet<string> = new Set([
  'java.util.UUID',
  'java.io.File',
  'java.net.URI',
  'java.net.URL',
]);

/** Classes that Hessian sends as an object with one field, `value`, which is a number or boolean. */
export const atomicClasses: ReadonlyMap<string, 'int' | 'long' | 'boolean'> = new Map([
  ['java.util.concurrent.atomic.AtomicInteger', 'int'],
  ['java.util.concurrent.atomic.AtomicLong', 'long'],
]);

export const sqlDates: ReadonlySet<string> = new Set(['java.sql.Timestamp', 'java.sql.Date', 'java.sql.Time']);
