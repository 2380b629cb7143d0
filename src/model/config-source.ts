/** Where a dynamic resource comes from (envoy.config.core.v3.ConfigSource). `initialFetchTimeoutMs` 0 means: wait for ever. */
export interface ConfigSource {
  readonly kind: 'ads';
  readonly initialFetchTimeoutMs: number;
}
