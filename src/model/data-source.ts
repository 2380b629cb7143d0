/** Where a value comes from (envoy.config.core.v3.DataSource). Files are read when the value is needed, so that they can be rotated. */
export type DataSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array };
