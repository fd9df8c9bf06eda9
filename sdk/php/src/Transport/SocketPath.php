<?php

declare(strict_types=1);

namespace Plasm\Transport;

/** Where the control socket is when nobody says. Normative: spec/control-api.md. */
final class SocketPath
{
    private const SYSTEM = '/var/lib/plasm/plasmd.sock';

    private function __construct()
    {
    }

    /**
     * Paths to try, best first. One that was named (option, PHASE_CONTROL_SOCKET) is the only one.
     *
     * @return non-empty-list<string>
     */
    public static function candidates(?string $option): array
    {
        $named = $option ?? self::env('PHASE_CONTROL_SOCKET');
        if ($named !== null) {
            return [$named];
        }
        $paths = [];
        if (($runtime = self::env('XDG_RUNTIME_DIR')) !== null) {
            $paths[] = "{$runtime}/phase/plasmd.sock";
        }
        if (($data = self::env('XDG_DATA_HOME')) !== null) {
            $paths[] = "{$data}/plasm/plasmd.sock";
        } elseif (($home = self::env('HOME')) !== null) {
            $paths[] = "{$home}/.local/share/plasm/plasmd.sock";
        }
        // The daemon of the whole machine, open to its group.
        $paths[] = self::SYSTEM;
        return $paths;
    }

    private static function env(string $name): ?string
    {
        $value = getenv($name);
        return $value === false || $value === '' ? null : $value;
    }
}
