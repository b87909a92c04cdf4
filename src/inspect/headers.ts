/** What every answer carries. */
export const headers: Readonly<Record<string, string>> = {
  'Content-Security-Policy': policy(),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
}

/** The bridge frames one other origin, and may open it in a window that talks back. */
export function bridgeHeaders(viewer: URL): Readonly<Record<string, string>> {
  const { 'Cross-Origin-Opener-Policy': _, ...rest } = headers
  return { ...rest, 'Content-Security-Policy': policy(viewer.origin) }
}

function policy(frame?: string): string {
  return [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self'`,
    `worker-src 'self'`,
    `connect-src 'self'`,
    `img-src 'self' data:`,
    ...(frame === undefined ? [] : [`frame-src ${frame}`]),
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
    `require-trusted-types-for 'script'`,
    `trusted-types rootcatch`,
  ].join('; ')
}
