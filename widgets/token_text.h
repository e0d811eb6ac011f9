#pragma once

#include <vector>

#include <QTextEdit>

namespace qw {

/// A piece of text with a value to colour and more to tell.
struct ShadedToken {
    QString text;
    double value = 0;    ///< NaN: not coloured
    bool marked = false; ///< underlined: never by colour alone
    QString tip;
    bool operator==(const ShadedToken&) const = default;
};

/// Text whose tokens are coloured on a map centred on zero. The mouse or the text cursor over a
/// token tells more of it.
class TokenText : public QTextEdit
{
    Q_OBJECT
public:
    explicit TokenText(QWidget* parent = nullptr);

    /// @param limit  value of the strongest colour, above 0
    void setTokens(const std::vector<ShadedToken>& tokens, double limit);
    const std::vector<ShadedToken>& tokens() const { return m_tokens; }
    /// The token at a place of the document, -1: none.
    int tokenAt(int position) const;

Q_SIGNALS:
    /// The text cursor stands on this token now.
    void currentChanged(int token);

protected:
    bool event(QEvent* event) override;
    bool viewportEvent(QEvent* event) override;

private:
    void rebuild();

    std::vector<ShadedToken> m_tokens;
    std::vector<int> m_ends; ///< of each token in the document
    double m_limit = 1;
};

} // namespace qw
