/** What every answer carries. */
export const headers: Readonly<Record<string, string>> = {
  ...common(policy()),
  'Cross-Origin-Opener-Policy': 'same-origin',
}

/** The bridge frames one other origin, and may open it in a window that talks back. */
export function bridgeHeaders(viewer: URL): Readonly<Record<string, string>> {
  return common(policy(viewer.origin))
}

function common(contentPolicy: string): Readonly<Record<string, string>> {
  return {
    'Content-Security-Policy': contentPolicy,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
    'Cross-Origin-Resource-Policy': 'same-origin',
  }
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
